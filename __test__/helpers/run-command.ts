import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** How a child process ended. */
export interface Ended {
  status: number | null;
  output: string;
  error: string;
}

/** A child process and its end. */
export interface Running {
  child: ChildProcess;
  /** What it has written to standard output so far. */
  output(): string;
  ended: Promise<Ended>;
}

/** Starts a TypeScript or JavaScript file of the repository. */
export function startScript(
  path: string,
  args: readonly string[],
  input = "",
  environment: Readonly<Record<string, string>> = {},
): Running {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const loader = path.endsWith(".ts") ? ["--import=tsx"] : [];
  const child = spawn(process.execPath, [...loader, path, ...args], {
    cwd: root,
    stdio: "pipe",
    env: { ...process.env, ...environment },
  });
  let output = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (status) => resolve({ status, output, error }));
  });
  return { child, output: () => output, ended };
}

/** Runs the command line to its end, with environment variables beside those of this process. */
export function sconce(
  args: readonly string[],
  input = "",
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return startScript("src/cli/main.ts", args, input, environment).ended;
}
