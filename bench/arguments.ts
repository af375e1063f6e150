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
  /** Folder of data sets, as `mt/multi30k-en-de.train.tsv.gz` in it; default `SCONCE_DATA`. */
  data?: string;
  /** Updates of `transformer-twin`; default 1,500, fewer with `percent`. Of the loss curves of `transformer-step`; default none. */
  updates?: number;
  /** Epochs of `language-model`; default 1. */
  epochs?: number;
  /** Most words of each text of `language-model`; default all, fewer with `percent`. */
  tokens?: number;
}

/** The usage, and what was wrong. */
export class UsageError extends Error {}

/** The usage, because it was asked for. */
export class HelpRequest extends Error {}

const counts = ["threads", "percent", "lines", "updates", "epochs", "tokens"] as const;

const usage = `usage: npm run bench -- NAME [--python PY] [--case C] [--json] [--threads N] [--percent P] [--lines N]
                               [--data DIR] [--updates N] [--epochs N] [--tokens N]
  NAME         lstm-step, rnn-step, transformer-step, multi30k-epoch, transformer-twin, attention,
               recomputation, event-loop, memory, start, demo, character, input-pipeline, tokenizer,
               language-model, metrics, decode or long-run
  --python PY  Python with the packages of bench/peers/requirements.txt; needed for comparisons
  --case C     run this case only (lstm-step: V8000, V30000, tatoeba, tatoeba-bucketed;
               rnn-step: gru, gru-tatoeba, bidirectional, bidirectional-tatoeba;
               transformer-step: V8000, V8000-residual, V8000-bfloat16;
               multi30k-epoch: small, tiny; transformer-twin: tiny, small;
               attention: T256-h8 to T8192-h8 and -h4, each also with -causal;
               metrics: one-reference, two-references;
               decode: float32-b1-beams1 to -b16-beams4, int8-...)
  --json       print one JSON object as the last line
  --threads N  compute threads of both sides, default all cores
  --percent P  size of the measurement, default 100; smaller ones show only that the bench works
  --lines N    lines of input-pipeline, default 10000000
  --data DIR   folder with mt/, lm/ and conformance/, for multi30k-epoch, transformer-twin,
               language-model, tokenizer and metrics; default SCONCE_DATA
  --updates N  updates of transformer-twin, default 1500; of the loss curves in float32 and bfloat16
               of transformer-step --case V8000-bfloat16, default none
  --epochs N   epochs of language-model, default 1
  --tokens N   words of each text of language-model, default all
  --help       print this`;

/** The name of the bench and its options. */
export function readArguments(
  parameters: string[],
  cores: number,
  environment: Readonly<Record<string, string | undefined>> = {},
): { name: string; options: BenchOptions } {
  const { values, positionals } = parse(parameters);
  if (values.help) throw new HelpRequest(usage);
  const name = positionals[0];
  if (name === undefined || positionals.length > 1) throw new UsageError(usage);
  const positive = (option: (typeof counts)[number], fallback: number) => {
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
  for (const option of ["lines", "updates", "epochs", "tokens"] as const) {
    if (values[option] !== undefined) options[option] = positive(option, 1);
  }
  const data = values.data ?? environment.SCONCE_DATA;
  if (data !== undefined) options.data = data;
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
        data: { type: "string" },
        updates: { type: "string" },
        epochs: { type: "string" },
        tokens: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${usage}`);
  }
}
