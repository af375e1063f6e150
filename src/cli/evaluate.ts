import type { Evaluation, EvaluationMetric, TextMetricName } from "../index.ts";
import { checkPositionals, numberFlag, readArguments, textFlag } from "./arguments.ts";
import { type Command, type Streams, UsageError } from "./command.ts";
import { pairFlags, pairsHelp, parsedFlags } from "./config/flags.ts";
import { pairOptions } from "./config/pair-options.ts";
import { readGeneration } from "./generation-file.ts";
import { isTextMetric, metricFlags, metricHelp, metricNames, metricOptions, shownScore } from "./metric-options.ts";
import { readPairs } from "./pairs.ts";
import { searchFlags, searchOptions } from "./search-flags.ts";
import { Loaded, togetherFlags, togetherHelp } from "./together.ts";

const help = `Usage: sconce evaluate DIR --test PAIRS [OPTIONS]

Loss, perplexity and accuracy per target token, the end tokens included, the share of pairs whose translation is the
reference, and metrics of the translations: BLEU, chrF and TER equal to sacreBLEU's, ROUGE to rouge-score's, with signatures.

Example: sconce evaluate runs/en-zh --test test.tsv.gz --metrics bleu,chrf

  DIR                      a folder that sconce train or Seq2Seq.save wrote
  --test PAIRS             sentence pairs: tab-separated, CSV, JSON Lines or Parquet
  --test-target FILE       translations of the lines of --test, if they are in a file of their own
${pairsHelp}  --metrics A,B            of loss, perplexity, tokenAccuracy, exactMatch (these by default), bleu, chrf, chrf++, ter, rouge1, rouge2,
                           rougeL, rougeLsum, squadExactMatch, squadF1, cmrcExactMatch, cmrcF1. exactMatch and those after it
                           translate every source
${metricHelp}  --max-new-tokens N       most tokens of a translation for metrics of texts; default that of the run, else 128
  --beams N                beam search with so many sequences for metrics of texts, default that of the run, else 1
  --length-penalty X       power of the length that scores are divided by in beam search, default that of the run, else 1
${togetherHelp}  --batch-size N           pairs computed together, default 64
  --json                   print one JSON object: { "loss", "perplexity", "tokenAccuracy", "exactMatch", "bleu", ..., "signatures",
                           "tokens", "pairs" }
  -h, --help               this text
`;

export const evaluate: Command = {
  help,
  async run(args: readonly string[], { output }: Streams): Promise<number> {
    const parsed = readArguments(args, {
      test: { type: "string" },
      "test-target": { type: "string" },
      ...parsedFlags(pairFlags),
      ...metricFlags,
      "max-new-tokens": { type: "string" },
      beams: searchFlags.beams,
      "length-penalty": searchFlags["length-penalty"],
      ...togetherFlags,
      "batch-size": { type: "string" },
      json: { type: "boolean" },
    });
    if (parsed.help) {
      output.write(help);
      return 0;
    }
    checkPositionals(parsed, ["DIR"], 1);
    const test = textFlag(parsed, "test");
    if (test === undefined) throw new UsageError("--test is missing");
    const batchSize = numberFlag(parsed, "batch-size", 1) ?? 64;
    const target = textFlag(parsed, "test-target");
    const pairs = await readPairs(target === undefined ? test : [test, target], pairOptions(parsed));
    const metrics = metricNames<EvaluationMetric>(parsed);
    const options = metricOptions(parsed);
    const limit = numberFlag(parsed, "max-new-tokens", 1);
    const search = { ...(limit === undefined ? {} : { maxNewTokens: limit }), ...searchOptions(parsed) };
    const wantsTexts = metrics?.some(isTextMetric) === true;
    if (!wantsTexts && (Object.keys(options).length > 0 || Object.keys(search).length > 0)) {
      throw new UsageError(
        "--tokenize, --lowercase, --set, --max-new-tokens, --beams and --length-penalty need a metric of texts, such as --metrics bleu",
      );
    }
    const folder = parsed.positionals[0]!;
    await using loaded = new Loaded();
    const translator = await loaded.load(folder, parsed, "float32");
    const generation = await readGeneration(folder);
    const values = await translator.evaluate(pairs, {
      batchSize,
      ...(metrics === undefined ? {} : { metrics }),
      ...(wantsTexts ? { ...options, generate: { ...generation, ...search } } : {}),
    });
    if (parsed.values.json === true) {
      output.write(`${JSON.stringify(values)}\n`);
    } else {
      output.write(shown(values));
    }
    return 0;
  },
};

function shown(values: Evaluation): string {
  const { pairs, tokens, loss, perplexity, tokenAccuracy, exactMatch, signatures = {} } = values;
  const parts = [`loss ${loss.toFixed(4)}`, `perplexity ${perplexity.toFixed(2)}`];
  if (tokenAccuracy !== undefined) parts.push(`token accuracy ${tokenAccuracy.toFixed(4)}`);
  if (exactMatch !== undefined) parts.push(`exact match ${exactMatch.toFixed(4)}`);
  for (const [name, signature] of Object.entries(signatures)) {
    parts.push(`${name === "bleu" ? "BLEU" : name} ${shownScore(name, values[name as TextMetricName])} (${signature})`);
  }
  return `${pairs} pairs, ${tokens} tokens: ${parts.join(", ")}\n`;
}
