import { Seq2Seq, type WeightArray } from "../index.ts";
import { readArguments, textFlag } from "./arguments.ts";
import { type Command, CommandError, type Streams, UsageError } from "./command.ts";

const help = `Usage: sconce average DIR DIR... --out DIR [--json]

Averages the weights of several translators of one kind, such as the last checkpoints of a run; that often translates better
than each of them. What training would go on with is taken from the first.

Example: sconce average runs/a runs/b runs/c --out runs/mean

  DIR         folders that sconce train or Seq2Seq.save wrote, two or more
  --out DIR   where the average goes
  --json      print one JSON object
  -h, --help  this text
`;

export const average: Command = {
  help,
  async run(args: readonly string[], { output }: Streams): Promise<number> {
    const parsed = readArguments(args, { out: { type: "string" }, json: { type: "boolean" } });
    if (parsed.help) {
      output.write(help);
      return 0;
    }
    if (parsed.positionals.length < 2) throw new UsageError("two or more folders are needed");
    const out = textFlag(parsed, "out");
    if (out === undefined) throw new UsageError("--out is missing");
    const [first, ...others] = parsed.positionals as [string, ...string[]];
    await using translator = await Seq2Seq.load(first);
    const weights = await translator.model.getWeights();
    const sums = weights.map(({ data }) => Float64Array.from(data));
    const kind = kindOf(translator);
    // One at a time: memory for two is enough, however many there are.
    for (const folder of others) {
      await using other = await Seq2Seq.load(folder);
      if (kindOf(other) !== kind) {
        throw new CommandError(`${folder} is another kind of translator than ${first}: average checkpoints of one run`);
      }
      for (const [index, { data }] of (await other.model.getWeights()).entries()) addTo(sums[index]!, data);
    }
    const count = parsed.positionals.length;
    await translator.model.setWeights(weights.map(({ shape }, index) => mean(sums[index]!, count, shape)));
    await translator.save(out);
    const parameters = translator.model.countParams();
    const line =
      parsed.values.json === true ? JSON.stringify({ out, count, parameters }) : `${out}: average of ${count}`;
    output.write(`${line}\n`);
    return 0;
  },
};

/** What must be the same in all: graph but for initial values, and tokenizers. */
function kindOf({ model, source, target }: Seq2Seq): string {
  const parts = [model.document, source, target];
  return JSON.stringify(parts, (key, value) => (key.endsWith("Initializer") ? undefined : value));
}

function addTo(sum: Float64Array, values: Float32Array): void {
  for (let index = 0; index < sum.length; index++) sum[index]! += values[index]!;
}

function mean(sum: Float64Array, count: number, shape: readonly number[]): WeightArray {
  return { data: Float32Array.from(sum, (value) => value / count), shape };
}
