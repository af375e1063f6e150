import { averageCheckpoints } from "../index.ts";
import { readArguments, textFlag } from "./arguments.ts";
import { type Command, type Streams, UsageError } from "./command.ts";

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
    await using translator = await averageCheckpoints(parsed.positionals);
    const count = parsed.positionals.length;
    await translator.save(out);
    const parameters = translator.model.countParams();
    const line =
      parsed.values.json === true ? JSON.stringify({ out, count, parameters }) : `${out}: average of ${count}`;
    output.write(`${line}\n`);
    return 0;
  },
};
