import { type BleuTokenizer, type TextMetricName, type TextMetricOptions, textMetricNames } from "../index.ts";
import { type Arguments, listFlag, textFlag } from "./arguments.ts";
import { UsageError } from "./command.ts";
import { parseValue } from "./config/file.ts";

/** Flags on how texts are scored, the same for all commands. */
export const metricFlags = {
  metrics: { type: "string" },
  tokenize: { type: "string" },
  lowercase: { type: "boolean" },
  set: { type: "string", multiple: true },
} as const;

/** The lines of a help text on {@link metricFlags}. */
export const metricHelp = `  --tokenize NAME          how BLEU cuts texts into words: 13a, zh, char, intl or none; default zh for Chinese references, else 13a
  --lowercase              BLEU and chrF ignore case
  --set PLACE=VALUE        any other option of a metric: bleu.smoothMethod=floor, chrf.beta=3, ter.normalized=true, rouge.useStemmer=true;
                           may be repeated
`;

/** The names that `--metrics` gives; they are checked by the call. */
export function metricNames<Name extends string>(args: Arguments): Name[] | undefined {
  return textFlag(args, "metrics")
    ?.split(",")
    .map((name) => name.trim()) as Name[] | undefined;
}

/** Whether a metric is one of texts. */
export function isTextMetric(name: string): name is TextMetricName {
  return (textMetricNames as readonly string[]).includes(name);
}

/**
 * The options of metrics that flags give.
 *
 * @throws UsageError if a flag is of no metric.
 */
export function metricOptions(args: Arguments): TextMetricOptions {
  const groups: Record<string, Record<string, unknown>> = {};
  const put = (group: string, name: string, value: unknown) => {
    groups[group] = { ...groups[group], [name]: value };
  };
  const tokenize = textFlag(args, "tokenize") as BleuTokenizer | undefined;
  if (tokenize !== undefined) put("bleu", "tokenize", tokenize);
  if (args.values.lowercase === true) {
    put("bleu", "lowercase", true);
    put("chrf", "lowercase", true);
  }
  for (const text of listFlag(args, "set")) {
    const [, group, name, value] = /^(bleu|chrf|ter|rouge)\.(\w+)=(.*)$/.exec(text) ?? [];
    if (group === undefined || name === undefined || value === undefined) {
      throw new UsageError(`--set must be an option of bleu, chrf, ter or rouge, such as chrf.beta=3, got ${text}`);
    }
    put(group, name, parseValue(value));
  }
  return groups;
}

/** A score with as many digits as it is usually given: scores from 0 to 1 have more. */
export function shownScore(name: string, value = Number.NaN): string {
  return value.toFixed(name.startsWith("rouge") ? 4 : 2);
}
