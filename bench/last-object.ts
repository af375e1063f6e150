import { spawn } from "node:child_process";

/**
 * Runs a program, shows its errors, and resolves to the JSON object in the last line of its output. A program that fails
 * rejects, unless `shortened`: then it may have stopped before it learnt what it demands of itself.
 */
export function lastObject<T>(
  command: string,
  parameters: string[],
  environment: Record<string, string>,
  shortened = false,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, parameters, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code !== 0 && !shortened) {
        reject(new Error(`${command} ${parameters.join(" ")} ended with ${code}`));
        return;
      }
      try {
        resolve(JSON.parse(output.trim().split("\n").at(-1) ?? "") as T);
      } catch {
        reject(new Error(`${command} ${parameters.join(" ")}: the last line of its output is no JSON object`));
      }
    });
  });
}
