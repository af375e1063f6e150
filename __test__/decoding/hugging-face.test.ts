import test from "ava";
import type { Generation } from "../../src/index.ts";
import {
  type GoldenCase,
  golden,
  type ModelName,
  sequencesOf,
  textOf,
  tokensOf,
  translatorOf,
} from "./hugging-face.ts";

function optionsOf({ options: { fewer: _, ...options }, prefix }: GoldenCase) {
  return { ...options, targetPrefix: textOf(prefix) };
}

for (const name of ["t5", "marian", "bart"] as ModelName[]) {
  for (const kind of ["greedy", "beam"] as const) {
    test(`${name}: ${kind} search gives the tokens and scores of Hugging Face's generate`, async (t) => {
      const cases = golden[name][kind];
      t.true(cases.length >= 70);
      const translator = await translatorOf(name);
      // All at once: calls with the same options share batches.
      const found = await Promise.all(
        cases.map((own) =>
          translator.generate([textOf(own.source)], { ...optionsOf(own), returnLogProbabilities: true }),
        ),
      );
      for (const [index, own] of cases.entries()) {
        const what = `case ${index}: ${JSON.stringify(own)}`;
        const sequences = sequencesOf(found[index]![0]!);
        t.deepEqual(
          sequences.map(({ tokens }) => tokens),
          own.ids.map((ids) => tokensOf(ids, own, translator)),
          what,
        );
        for (const [place, { score, logProbabilities }] of sequences.entries()) {
          t.true(Math.abs(score - own.scores[place]!) < 1e-4, `${what} ${score}`);
          const sum = logProbabilities!.reduce((total, value) => total + value, 0);
          const power = kind === "beam" ? (own.options.lengthPenalty ?? 1) : 0;
          t.is(logProbabilities!.length, own.ids[place]!.length);
          t.true(Math.abs(score - sum / logProbabilities!.length ** power) < 1e-4, what);
        }
      }
      translator.dispose();
    });
  }

  test(`${name}: what a text gives does not depend on its batch`, async (t) => {
    const translator = await translatorOf(name);
    const texts = golden[name].beam.map(({ source }) => textOf(source)).slice(0, 24);
    for (const options of [
      {},
      { numBeams: 4, numReturnSequences: 3 },
      { numBeams: 3, lengthPenalty: 0.5, earlyStopping: "never" as const, noRepeatNgramSize: 2 },
      { doSample: true, seed: 5, numReturnSequences: 2, topP: 0.9 },
      { doSample: true, seed: 6, numBeams: 3, temperature: 1.5 },
    ]) {
      const whole = await translator.generate(texts, { ...options, maxNewTokens: 12 });
      const parts = await translator.generate(texts, { ...options, maxNewTokens: 12, batchSize: 5 });
      t.deepEqual(parts, whole);
      const slow = await translator.generate(texts, { ...options, maxNewTokens: 12, recompute: true });
      t.deepEqual(
        slow.map(({ tokens }) => tokens),
        whole.map(({ tokens }) => tokens),
      );
      const pieces: string[] = [];
      for await (const piece of translator.stream(texts[0]!, { ...without(options), maxNewTokens: 12 })) {
        pieces.push(piece);
      }
      if (!("numReturnSequences" in options)) t.is(pieces.join(""), whole[0]!.text);
    }
    translator.dispose();
  });
}

test("500 texts give the same tokens and scores in any batches, in any order", async (t) => {
  let state = 9;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const texts = Array.from({ length: 500 }, () =>
    textOf(Array.from({ length: 1 + Math.floor(random() ** 2 * 28) }, () => 4 + Math.floor(random() * 16))),
  );
  for (const name of ["t5", "bart"] as ModelName[]) {
    const translator = await translatorOf(name);
    for (const options of [{}, { numBeams: 4, numReturnSequences: 2, lengthPenalty: 0.6 }]) {
      const all = { ...options, maxNewTokens: 10, returnLogProbabilities: true };
      const whole = await translator.generate(texts, { ...all, batchSize: 500 });
      const order = texts.map((_, index) => index).sort(() => random() - 0.5);
      const parts: Promise<Generation[]>[] = [];
      const places: number[] = [];
      while (places.length < texts.length) {
        const some = order.slice(places.length, places.length + 1 + Math.floor(random() * 40));
        places.push(...some);
        const batchSize = 1 + Math.floor(random() * 30);
        parts.push(
          translator.generate(
            some.map((index) => texts[index]!),
            { ...all, batchSize },
          ),
        );
      }
      const found = (await Promise.all(parts)).flat();
      t.true(places.every((index, place) => JSON.stringify(found[place]) === JSON.stringify(whole[index])));
    }
    translator.dispose();
  }
});

function without<T extends object>(options: T): Omit<T, "numReturnSequences"> {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name !== "numReturnSequences")) as T;
}
