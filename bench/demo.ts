import type { BenchOptions } from "./arguments.ts";
import type { Report } from "./report.ts";

export async function demo(_options: BenchOptions): Promise<Report> {
  throw new Error("not there yet");
}
