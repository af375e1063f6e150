/** What a bench tells; with `--json` the last line of standard output. */
export interface Report {
  bench: string;
  machine: Record<string, unknown>;
  versions: Record<string, unknown>;
  cases: Record<string, unknown>[];
}
