import { Seq2Seq } from "../index.ts";
import { checkPositionals, numberFlag, readArguments } from "./arguments.ts";
import { type Command, type Streams, write } from "./command.ts";
import { readGeneration } from "./generation-file.ts";
import { linesOf } from "./lines.ts";

const help = `Usage: sconce translate DIR [FILE|-] [OPTIONS]

Translates each line of FILE (plain or gzip), or of standard input, to a line on standard output.

Example: echo "How are you?" | sconce translate runs/en-zh

  DIR                   a folder that sconce train or Seq2Seq.save wrote
  --max-new-tokens N    most tokens of a translation, default that of the run, else 128
  --batch-size N        lines translated together, default that of the run, else 32
  --json                print one JSON object: { "translations": [{ "source", "text", "score" }] }
  -h, --help            this text
`;

export const translate: Command = {
  help,
  async run(args: readonly string[], { input, output }: Streams): Promise<number> {
    const parsed = readArguments(args, {
      "max-new-tokens": { type: "string" },
      "batch-size": { type: "string" },
      json: { type: "boolean" },
    });
    if (parsed.help) {
      output.write(help);
      return 0;
    }
    checkPositionals(parsed, ["DIR", "FILE"], 1);
    const [folder, path = "-"] = parsed.positionals as [string, string?];
    const given = {
      maxNewTokens: numberFlag(parsed, "max-new-tokens", 1),
      batchSize: numberFlag(parsed, "batch-size", 1),
    };
    const json = parsed.values.json === true;
    const defaults = await readGeneration(folder);
    const { maxNewTokens = defaults.maxNewTokens, batchSize = defaults.batchSize } = given;
    await using translator = await Seq2Seq.load(folder);
    const translations: { source: string; text: string; score: number }[] = [];
    for await (const lines of linesOf(path, input)) {
      for (let start = 0; start < lines.length; start += batchSize) {
        const sources = lines.slice(start, start + batchSize);
        const results = await translator.generate(sources, { maxNewTokens, batchSize });
        if (json) {
          for (const [index, { text, score }] of results.entries()) {
            translations.push({ source: sources[index]!, text, score });
          }
        } else {
          // A line stays a line, whatever the model writes.
          await write(output, results.map(({ text }) => `${text.replace(/[\r\n]+/g, " ")}\n`).join(""));
        }
      }
    }
    if (json) await write(output, `${JSON.stringify({ translations })}\n`);
    return 0;
  },
};
