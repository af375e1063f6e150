import { parseArgs } from "node:util";

/** What the command line of `npm run bench` says. */
export interface BenchOptions {
  /** Python interpreter with the packages of `bench/peers/requirements.txt`; without one peers are listed as missing. */
  python?: string;
  /** The only case to run; default all. */
  case?: string;
  /** Whether the last line of standard output is a JSON object. */
  json: boolean;
  /** Compute threads of both sides; default all cores. */
  threads: number;
  /** Rounds, seconds or steps in hundredths of the full measurement; default 100. Below that numbers are no results. */
  percent: number;
  /** Lines of `input-pipeline`; default ten million, fewer with `percent`. */
  lines?: number;
}

/** The usage, and what was wrong. */
export class UsageError extends Error {}

const usage = `usage: npm run bench -- NAME [--python PY] [--case C] [--json] [--threads N] [--percent P] [--lines N]
  NAME         lstm-step, rnn-step, event-loop, memory, start, demo, character, input-pipeline,
               tokenizer or long-run
  --python PY  Python with the packages of bench/peers/requirements.txt; needed for comparisons
  --case C     run this case only (lstm-step: V8000, V30000, tatoeba, tatoeba-bucketed;
               rnn-step: gru, gru-tatoeba, bidirectional, bidirectional-tatoeba)
  --json       print one JSON object as the last line
  --threads N  compute threads of both sides, default all cores
  --percent P  size of the measurement, default 100; smaller ones show only that the bench works
  --lines N    lines of input-pipeline, default 10000000`;

/** The name of the bench and its options. */
export function readArguments(parameters: string[], cores: number): { name: string; options: BenchOptions } {
  const { values, positionals } = parse(parameters);
  const name = positionals[0];
  if (name === undefined || positionals.length > 1) throw new UsageError(usage);
  const positive = (option: "threads" | "percent" | "lines", fallback: number) => {
    const value = Number(values[option] ?? fallback);
    if (!(Number.isInteger(value) && value >= 1))
      throw new UsageError(`--${option}: expected an integer of at least 1`);
    return value;
  };
  const options: BenchOptions = {
    json: values.json ?? false,
    threads: positive("threads", cores),
    percent: positive("percent", 100),
  };
  if (values.python !== undefined) options.python = values.python;
  if (values.lines !== undefined) options.lines = positive("lines", 1);
  if (values.case !== undefined) options.case = values.case;
  return { name, options };
}

function parse(parameters: string[]) {
  try {
    return parseArgs({
      args: parameters,
      allowPositionals: true,
      options: {
        python: { type: "string" },
        case: { type: "string" },
        json: { type: "boolean" },
        threads: { type: "string" },
        percent: { type: "string" },
        lines: { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}
