import { weightTypes } from "../saving/weight-type.ts";
import { checkPositionals, choiceFlag, numberFlag, readArguments } from "./arguments.ts";
import { type Command, type Streams, write } from "./command.ts";
import { readGeneration } from "./generation-file.ts";
import { linesOf } from "./lines.ts";
import { searchFlags, searchHelp, searchOptions } from "./search-flags.ts";
import { Loaded, togetherFlags, togetherHelp } from "./together.ts";

const help = `Usage: sconce translate DIR [FILE|-] [OPTIONS]

Translates each line of FILE (plain or gzip), or of standard input, to a line on standard output, or with --n-best to so many.

Example: echo "How are you?" | sconce translate runs/en-zh --beams 4

  DIR                      a folder that sconce train or Seq2Seq.save wrote
  --max-new-tokens N       most tokens of a translation, default that of the run, else 128
${searchHelp}${togetherHelp}  --batch-size N           lines translated together, default that of the run, else 32
  --dtype TYPE             how weights are kept: float32, bfloat16 or int8, which is faster and takes less memory; default float32
  --json                   print one JSON object: { "translations": [{ "source", "text", "score", "alternatives" }] }, the last
                           with --n-best
  -h, --help               this text
`;

export const translate: Command = {
  help,
  async run(args: readonly string[], { input, output }: Streams): Promise<number> {
    const parsed = readArguments(args, {
      "max-new-tokens": { type: "string" },
      ...searchFlags,
      ...togetherFlags,
      "batch-size": { type: "string" },
      dtype: { type: "string" },
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
    const dtype = choiceFlag(parsed, "dtype", weightTypes) ?? "float32";
    const json = parsed.values.json === true;
    const defaults = await readGeneration(folder);
    const { maxNewTokens = defaults.maxNewTokens, batchSize = defaults.batchSize } = given;
    const options = { ...defaults, ...searchOptions(parsed), maxNewTokens, batchSize };
    await using loaded = new Loaded();
    const translator = await loaded.load(folder, parsed, dtype);
    const translations: (Scored & { source: string; alternatives?: Scored[] })[] = [];
    let firstIndex = 0;
    for await (const lines of linesOf(path, input)) {
      for (let start = 0; start < lines.length; start += batchSize) {
        const sources = lines.slice(start, start + batchSize);
        const results = await translator.generate(sources, { ...options, firstIndex });
        firstIndex += sources.length;
        if (json) {
          for (const [index, { alternatives, ...best }] of results.entries()) {
            const others = alternatives === undefined ? {} : { alternatives: alternatives.map(scored) };
            translations.push({ source: sources[index]!, ...scored(best), ...others });
          }
        } else {
          const all = results.flatMap(({ alternatives = [], text }) => [
            text,
            ...alternatives.map((other) => other.text),
          ]);
          // A line stays a line, whatever the model writes.
          await write(output, all.map((text) => `${text.replace(/[\r\n]+/g, " ")}\n`).join(""));
        }
      }
    }
    if (json) await write(output, `${JSON.stringify({ translations })}\n`);
    return 0;
  },
};

interface Scored {
  text: string;
  score: number;
}

function scored({ text, score }: Scored): Scored {
  return { text, score };
}
