import { basename } from "node:path";
import { type ScoreSystemsOptions, scoreSystems, type TextMetricName, type TextScores } from "../index.ts";
import { withTokenizersFor } from "../metrics/text/language.ts";
import { listFlag, numberFlag, readArguments } from "./arguments.ts";
import { type Command, type Streams, UsageError, write } from "./command.ts";
import { linesOf } from "./lines.ts";
import { metricFlags, metricHelp, metricNames, metricOptions, shownScore } from "./metric-options.ts";

const help = `Usage: sconce score HYPOTHESES... --references FILE [OPTIONS]

Scores texts that were generated against references, each with the signature to publish with it. Each line is a text; files are
plain or gzip.

Example: sconce score output.txt --references reference.txt --metrics bleu,chrf,ter --confidence

  HYPOTHESES               texts of one system, or of several, a file each; - is standard input
  --references FILE        what they are compared with, line by line; may be repeated: several references
  --metrics A,B            of bleu, chrf, chrf++, ter, rouge1, rouge2, rougeL, rougeLsum, squadExactMatch, squadF1, cmrcExactMatch, cmrcF1;
                           default bleu,chrf
${metricHelp}  --confidence             the range that holds 95 % of samples of the lines
  --paired                 whether each system differs from the first by more than chance: a paired bootstrap
  --samples N              samples of --confidence and --paired, default 1000
  --seed N                 seed of the samples, default 12345
  --json                   print one JSON object: { "systems": [{ "file", "scores" }], "comparisons" }
  -h, --help               this text
`;

/** A system compared with the first one. */
interface ComparisonLine {
  readonly file: string;
  readonly metric: TextMetricName;
  readonly difference: number;
  readonly interval: readonly [number, number];
  readonly pValue: number;
}

export const score: Command = {
  help,
  async run(args: readonly string[], { input, output }: Streams): Promise<number> {
    const parsed = readArguments(args, {
      references: { type: "string", multiple: true },
      ...metricFlags,
      confidence: { type: "boolean" },
      paired: { type: "boolean" },
      samples: { type: "string" },
      seed: { type: "string" },
      json: { type: "boolean" },
    });
    if (parsed.help) {
      output.write(help);
      return 0;
    }
    const { confidence = false, paired = false, json = false } = parsed.values;
    const files = parsed.positionals;
    if (files.length === 0) throw new UsageError("HYPOTHESES is missing");
    if (paired && files.length < 2) throw new UsageError("--paired needs the texts of two systems");
    const samples = numberFlag(parsed, "samples", 1);
    const seed = numberFlag(parsed, "seed", 0);
    if (!confidence && !paired && (samples ?? seed) !== undefined) {
      throw new UsageError("--samples and --seed need --confidence or --paired");
    }
    const drawn = { ...(samples === undefined ? {} : { samples }), ...(seed === undefined ? {} : { seed }) };
    const places = listFlag(parsed, "references");
    if (places.length === 0) throw new UsageError("--references is missing");
    const read = async (path: string) => {
      const lines: string[] = [];
      for await (const some of linesOf(path, input)) for (const line of some) lines.push(line);
      return lines;
    };
    const references: string[][] = [];
    for (const place of places) references.push(await read(place));
    const metrics = metricNames<TextMetricName>(parsed) ?? ["bleu", "chrf"];
    const options = withTokenizersFor(references.flat(), metricOptions(parsed));
    const texts: string[][] = [];
    for (const file of files) texts.push(await read(file));
    const request: ScoreSystemsOptions = { ...options, metrics, ...(confidence ? { bootstrap: drawn } : {}) };
    const found = await scoreSystems(texts, references, { ...request, ...(paired ? { paired: drawn } : {}) });
    const systems = found.map(({ scores }, index) => ({ file: files[index]!, scores }));
    const comparisons: ComparisonLine[] = found.flatMap(({ comparisons: own = {} }, index) =>
      metrics.flatMap((metric) => {
        const compared = own[metric];
        if (compared === undefined) return [];
        const { difference, interval, pValue } = compared;
        return [{ file: files[index]!, metric, difference, interval, pValue }];
      }),
    );
    if (json) {
      await write(output, `${JSON.stringify({ systems, ...(paired ? { comparisons } : {}) })}\n`);
      return 0;
    }
    for (const { file, scores } of systems) await write(output, shown(file, scores, systems.length > 1));
    for (const comparison of comparisons) await write(output, compared(comparison, files[0]!));
    return 0;
  },
};

function shown(file: string, scores: TextScores, named: boolean): string {
  const head = named ? `${file === "-" ? file : basename(file)}: ` : "";
  const lines = Object.entries(scores).map(([metric, { score, ci, signature }]) => {
    const range = ci === undefined ? "" : ` ± ${shownScore(metric, ci)}`;
    return `${head}${metric} ${shownScore(metric, score)}${range} (${signature})\n`;
  });
  return lines.join("");
}

function compared({ file, metric, difference, interval, pValue }: ComparisonLine, first: string): string {
  const value = (number: number) => `${number < 0 ? "" : "+"}${shownScore(metric, number)}`;
  const range = interval.map(value).join(" to ");
  return `${basename(file)} against ${basename(first)}: ${metric} ${value(difference)}, 95 % ${range}, p = ${pValue.toFixed(4)}\n`;
}
