import test from "ava";
import { startScript } from "../helpers/run-command.ts";

interface Result {
  history: Record<string, number[]>;
}

/** Runs an example and reads the JSON object in its last line. */
async function example<T extends Result>(name: string, args: string[]): Promise<{ printed: string; result: T }> {
  const { status, output, error } = await startScript(`examples/${name}.ts`, [...args, "--json"]).ended;
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${error}${output.slice(-2000)}`);
  return { printed: output, result: JSON.parse(output.trimEnd().split("\n").at(-1)!) as T };
}

test.serial("the tutorial learns and decodes in a short form", async (t) => {
  const { printed, result } = await example("character-tutorial", ["--epochs", "4", "--samples", "500"]);
  const { loss, accuracy, valLoss, valAccuracy } = result.history;
  t.deepEqual(
    [loss, accuracy, valLoss, valAccuracy].map((list) => list!.length),
    [4, 4, 4, 4],
  );
  t.true(loss![3]! < 0.9 * loss![0]!);
  t.is(printed.match(/^Decoded sentence:/gm)?.length, 10);
});

test.serial("a language model learns how sentences go on, in a short form", async (t) => {
  for (const more of [[], ["--recurrent"]]) {
    const { printed, result } = await example<Result & { perplexity: number; texts: string[] }>("language-model", [
      ...["--epochs", "2", "--samples", "2000"],
      ...more,
    ]);
    const { loss, valPerplexity } = result.history;
    t.true(loss![1]! < 0.95 * loss![0]!);
    t.true(Math.abs(result.perplexity - valPerplexity![1]!) < 0.01 * result.perplexity);
    t.is(result.texts.length, 4);
    t.is(printed.match(/ \.\.\./gm)?.length, 4);
  }
});

test.serial("the demo learns and translates in a short form", async (t) => {
  interface Demo extends Result {
    updates: number;
    losses: { untrained: number; baseline: number; trained: number };
  }
  const { printed, result } = await example<Demo>("translate-en-zh", ["--steps", "40", "--draw", "7"]);
  t.is(result.updates, 40);
  t.true(result.losses.trained < 0.8 * result.losses.untrained);
  t.true(result.losses.baseline > 1 && result.losses.baseline < result.losses.untrained);
  t.is(printed.match(/^ {4}translation /gm)?.length, 10);
  t.regex(printed, /drawn by seed 7/);
});
