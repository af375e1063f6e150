// The measured processes are plain JavaScript and import the package by its name, as a user's program does: no loader is counted in.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { createInterface } from "node:readline";

/** Memory of this process in MiB, from /proc; null on other systems than Linux. */
export function memory() {
  let status = "";
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return { peakMiB: null, residentMiB: null };
  }
  const field = (name) => Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)[1]) / 1024;
  return { peakMiB: field("VmHWM"), residentMiB: field("VmRSS") };
}

/** Resident memory in MiB after a collection: what the garbage collector has not got round to is no leak. */
export function resident() {
  globalThis.gc();
  return memory().residentMiB;
}

/** What this process runs on, given `environment()` of the package. */
export function description(environment) {
  return {
    machine: { cpu: cpus()[0]?.model.trim() ?? "unknown", cores: cpus().length, simd: environment.simd },
    versions: { sconce: environment.version, node: process.versions.node },
    threads: environment.threads,
  };
}

/** Answers requests, one JSON object a line, until standard input ends: the other end of bench/worker.ts. */
export async function serve(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    let answer;
    try {
      answer = await commands[request.command](request);
    } catch (error) {
      answer = { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}
