import { readFileSync } from "node:fs";
import test from "ava";
import { type GenerateOptions, type NdArray, ndarray, Seq2Seq, StateError, Tokenizer } from "../../src/index.ts";
import { type GoldenCase, letters, sequencesOf, textOf, tokensOf, translatorOf } from "./hugging-face.ts";

interface EnsembleCase extends GoldenCase {
  readonly weights: readonly number[];
  readonly mean: "arithmetic" | "geometric";
}

interface AllowedCase extends GoldenCase {
  /** For each token those that may follow it. */
  readonly allowed: readonly (readonly number[])[];
  /** Steps in which all of them had been excluded. */
  readonly forced: number;
}

/** Written by `ensembles.py`. */
const golden = JSON.parse(
  readFileSync(new URL("../golden/generation/ensembles.json", import.meta.url), "utf8"),
) as Record<"greedy" | "beam", EnsembleCase[]> & { allowed: AllowedCase[] };

const texts = ["abcde", "ponm", "gg", "", "kabfh"];

for (const kind of ["greedy", "beam"] as const) {
  test(`${kind} search with the mean of two models gives the tokens and scores of Hugging Face's generate`, async (t) => {
    const translators = [await translatorOf("marian"), await translatorOf("bart")];
    t.true(golden[kind].length >= 60);
    for (const [index, own] of golden[kind].entries()) {
      const { weights, mean, source, prefix, options } = own;
      const { fewer: _, ...rest } = options;
      const both = Seq2Seq.ensemble(translators, { mean, ...(weights[0] === weights[1] ? {} : { weights }) });
      const all = { ...rest, targetPrefix: textOf(prefix) };
      const sequences = sequencesOf((await both.generate([textOf(source)], all))[0]!);
      const what = `case ${index}: ${JSON.stringify(own)}`;
      t.deepEqual(
        sequences.map(({ tokens }) => tokens),
        own.ids.map((ids) => tokensOf(ids, own, both)),
        what,
      );
      for (const [place, { score }] of sequences.entries()) {
        t.true(Math.abs(score - own.scores[place]!) < 1e-4, `${what} ${score}`);
      }
    }
  });
}

test("what is allowed comes even if options exclude all of it, as with Hugging Face's prefix_allowed_tokens_fn", async (t) => {
  const translator = await translatorOf("marian");
  const { allowed } = golden;
  t.true(allowed.length >= 60 && allowed.filter(({ forced }) => forced > 0).length >= 30);
  for (const [index, own] of allowed.entries()) {
    const { fewer: _, ...rest } = own.options;
    const { begin } = translator.target.vocabulary;
    const allowedTokens = (prefix: readonly number[]) => own.allowed[prefix.at(-1) ?? begin]!;
    const [made] = await translator.generate([textOf(own.source)], { ...rest, allowedTokens });
    const what = `case ${index}: ${JSON.stringify(own)}`;
    const sequences = sequencesOf(made!);
    t.deepEqual(
      sequences.map(({ tokens }) => tokens),
      own.ids.map((ids) => tokensOf(ids, own, translator)),
      what,
    );
    for (const [place, { score }] of sequences.entries()) {
      t.true(Math.abs(score - own.scores[place]!) < 1e-4, `${what} ${score}`);
    }
  }
});

const searches: GenerateOptions[] = [
  {},
  { numBeams: 4, numReturnSequences: 2, lengthPenalty: 0.6 },
  { doSample: true, seed: 3, numReturnSequences: 2 },
  { numBeams: 3, numReturnSequences: 4, returnAlternatives: true },
];

test("an ensemble of a translator with itself translates and scores as it does alone", async (t) => {
  const translator = await translatorOf("bart");
  const twice = Seq2Seq.ensemble([translator, translator], { weights: [3, 1] });
  for (const options of searches) {
    const all = { ...options, maxNewTokens: 10 };
    const alone = await translator.generate(texts, all);
    const together = await twice.generate(texts, all);
    for (const [index, one] of alone.entries()) {
      const own = sequencesOf(together[index]!);
      for (const [place, { tokens, score }] of sequencesOf(one).entries()) {
        t.deepEqual(own[place]!.tokens, tokens);
        t.true(Math.abs(own[place]!.score - score) < 1e-5);
      }
    }
  }
  const pairs = texts.map((source) => ({ source, target: "abc" }));
  const scores = await translator.score(pairs);
  for (const [index, { score, tokens }] of (await twice.score(pairs)).entries()) {
    t.deepEqual(tokens, scores[index]!.tokens);
    t.true(Math.abs(score - scores[index]!.score) < 1e-5);
  }
});

const evaluatedPairs = ["abcde", "ponm", "gg", "kabfh", "c", "bcdefghijk"].map((source, index) => {
  return { source, target: ["abc", "a", "gg", "hfbak", "", "aaa"][index]! };
});

test("an ensemble of a translator with itself is evaluated as it is alone", async (t) => {
  for (const kind of ["bart", "marian", "t5"] as const) {
    const translator = await translatorOf(kind);
    translator.model.compile({
      optimizer: "sgd",
      loss: "sparseCategoricalCrossentropy",
      metrics: ["accuracy", "perplexity"],
    });
    const wanted = {
      metrics: ["loss", "perplexity", "tokenAccuracy", "exactMatch", "bleu", "chrf"],
      generate: { maxNewTokens: 6, numBeams: 2 },
    } as const;
    const [best] = await translator.generate(["ponm"], wanted.generate);
    // One of the references is what is written.
    const pairs = evaluatedPairs.map((pair) => (pair.source === "ponm" ? { ...pair, target: best!.text } : pair));
    for (const [count, mean] of [
      [1, "arithmetic"],
      [3, "arithmetic"],
      [2, "geometric"],
    ] as const) {
      const together = Seq2Seq.ensemble(
        Array.from({ length: count }, () => translator),
        { mean },
      );
      for (const options of [{}, wanted, { ...wanted, maxLength: 5 }, { batchSize: 2 }]) {
        const alone = await translator.evaluate(pairs, options);
        const found = await together.evaluate(pairs, options);
        t.deepEqual(Object.keys(found), Object.keys(alone));
        for (const [name, value] of Object.entries(alone)) {
          const own = found[name as "loss"];
          if (typeof value === "number")
            t.true(Math.abs(own - value) < 1e-4 * Math.max(1, value), `${name} ${own} ${value}`);
          else t.deepEqual(own, value);
        }
      }
    }
    t.true((await translator.evaluate(pairs, wanted)).exactMatch! > 0);
  }
});

test("several are evaluated by the probabilities that they give together", async (t) => {
  const models = [await translatorOf("t5"), await translatorOf("marian")];
  const weights = [0.7, 0.3];
  const { target } = models[0]!;
  for (const mean of ["arithmetic", "geometric"] as const) {
    const together = Seq2Seq.ensemble(models, { weights, mean });
    const found = await together.evaluate(evaluatedPairs);
    let [tokens, crossEntropy, right, matches] = [0, 0, 0, 0];
    for (const { source, target: text } of evaluatedPairs) {
      const ids = [...target.encode(text), target.vocabulary.end];
      for (const [step, id] of ids.entries()) {
        // Probabilities of all that can come at this step: each as the last token of a target of its own.
        const prefix = ids.slice(0, step);
        const scores = await Promise.all(models.map((model) => allAfter(model, source, prefix)));
        const both = scores[0]!.map((value, token) => {
          const other = scores[1]![token]!;
          return mean === "arithmetic"
            ? Math.log(weights[0]! * Math.exp(value) + weights[1]! * Math.exp(other))
            : weights[0]! * value + weights[1]! * other;
        });
        const total = Math.log(both.reduce((sum, value) => sum + Math.exp(value), 0));
        crossEntropy -= both[id]! - total;
        right += Number(both.indexOf(Math.max(...both)) === id);
        tokens += 1;
      }
      const [made] = await together.generate([source], { maxNewTokens: ids.length });
      matches += Number(made!.text === text);
    }
    const loss = crossEntropy / tokens;
    t.is(found.tokens, tokens);
    t.is(found.pairs, evaluatedPairs.length);
    t.true(Math.abs(found.loss - loss) < 1e-5, `${found.loss} ${loss}`);
    t.true(Math.abs(found.perplexity - Math.exp(loss)) < 1e-3);
    t.true(Math.abs(found.tokenAccuracy! - right / tokens) < 1e-9);
    t.true(Math.abs(found.exactMatch! - matches / evaluatedPairs.length) < 1e-9);
    const parts = await together.evaluate(evaluatedPairs, { batchSize: 1, metrics: ["loss"] });
    t.is(parts.loss, found.loss);
    t.is(parts.exactMatch, undefined);
  }
  const both = Seq2Seq.ensemble(models);
  await t.throwsAsync(both.evaluate([]), { code: "DATA", message: /no sentence pairs/ });
  await t.throwsAsync(both.evaluate(5 as never), { code: "OPTION", message: /expected sentence pairs/ });
  await t.throwsAsync(both.evaluate(evaluatedPairs, { metrics: ["blue"] as never }), {
    code: "OPTION",
    message: /blue/,
  });
  const signal = AbortSignal.abort(new Error("enough"));
  await t.throwsAsync(both.evaluate(evaluatedPairs, { signal }), { message: "enough" });
});

/** Log-probabilities of every token after a prefix. */
async function allAfter(
  { model, source, target }: Seq2Seq,
  text: string,
  prefix: readonly number[],
): Promise<number[]> {
  const { begin, size } = target.vocabulary;
  const read = [...source.encode(text, { addEnd: true })];
  const written = [begin, ...prefix];
  const array = (ids: number[]) => ndarray(Int32Array.from(ids), [1, ids.length]);
  const probabilities = (await model.predict([array(read), array(written)])) as NdArray;
  return Array.from(probabilities.data.subarray((written.length - 1) * size), Math.log);
}

test("ensembles stream, score what they generate, and do not depend on batches", async (t) => {
  const models = [await translatorOf("t5"), await translatorOf("marian"), await translatorOf("bart")];
  const ensemble = Seq2Seq.ensemble(models, { weights: [1, 2, 1.5] });
  for (const options of searches) {
    const all = { ...options, maxNewTokens: 10, returnLogProbabilities: true };
    const made = await ensemble.generate(texts, all);
    t.deepEqual(await ensemble.generate(texts, { ...all, batchSize: 1 }), made);
    const slow = await ensemble.generate(texts, { ...all, recompute: true });
    t.deepEqual(
      slow.map(({ text }) => text),
      made.map(({ text }) => text),
    );
    const allowedTokens = () => letters.map((_, place) => place + 4).concat(ensemble.target.vocabulary.end);
    const allowed = await ensemble.generate(texts, { ...all, allowedTokens });
    if (options.doSample !== true)
      t.deepEqual(
        allowed.map(({ text }) => text),
        made.map(({ text }) => text),
      );
    if (options.numReturnSequences === undefined) {
      const pieces: string[] = [];
      for await (const piece of ensemble.stream(texts[0]!, { maxNewTokens: 10 })) pieces.push(piece);
      t.is(pieces.join(""), made[0]!.text);
      const full = texts.flatMap((text, index) => (text === "" ? [] : [[text, made[index]!] as const]));
      const scored = await ensemble.score(full.map(([source, { text }]) => ({ source, target: text })));
      for (const [index, [, { score, logProbabilities }]] of full.entries()) {
        // Where the end was not reached it is scored all the same.
        const own = scored[index]!.logProbabilities.slice(0, logProbabilities!.length);
        t.true(Math.abs(own.reduce((sum, value) => sum + value, 0) - score) < 1e-4);
      }
    }
  }
  // A failure of one is that of the call; the others go on.
  models[1]!.dispose();
  await t.throwsAsync(ensemble.generate(texts), { instanceOf: StateError });
  t.is((await models[0]!.generate(texts)).length, texts.length);
});

test("translators of an ensemble may read sources in ways of their own", async (t) => {
  const target = await Tokenizer.train(["abcdefgh"], { type: "character" });
  const words = await Tokenizer.train(["ab cd ef"], { type: "word" });
  const options = { dModel: 16, heads: 2, encoderLayers: 1, decoderLayers: 1 };
  const first = Seq2Seq.transformer({ ...options, source: target, target });
  const second = Seq2Seq.transformer({ ...options, source: words, target });
  const third = Seq2Seq.recurrent({ source: words, target, units: 8 });
  await second.model.build({ seed: 2 });
  const ensemble = Seq2Seq.ensemble([first, second, third]);
  const sources = ["ab cd", "ef", "ab ab ab cd"];
  const made = await ensemble.generate(sources, { maxNewTokens: 5, numBeams: 2 });
  t.deepEqual(await ensemble.generate(sources, { maxNewTokens: 5, numBeams: 2, batchSize: 1 }), made);
  const whole = await ensemble.score(sources.map((source) => ({ source, target: "abc" })));
  const parts = await Promise.all(
    [first, second, third].map((one) => one.score(sources.map((source) => ({ source, target: "abc" })))),
  );
  for (const [index, { logProbabilities }] of whole.entries()) {
    for (const [step, value] of logProbabilities.entries()) {
      const mean = parts.reduce((sum, part) => sum + Math.exp(part[index]!.logProbabilities[step]!), 0) / 3;
      t.true(Math.abs(value - Math.log(mean)) < 1e-5);
    }
  }
});

test("ensembles that do not fit are refused", async (t) => {
  const translator = await translatorOf("t5");
  const { source, target } = translator;
  const refused = (translators: unknown, options: object, message: RegExp) => {
    t.throws(() => Seq2Seq.ensemble(translators as Seq2Seq[], options), { code: "OPTION", message });
  };
  refused([], {}, /no translators/);
  refused([translator, 5], {}, /expected a list of translators/);
  refused(translator, {}, /expected a list of translators/);
  refused([translator], { weights: [1, 2] }, /weights must be a list of 1 numbers/);
  refused([translator, translator], { weights: [1, 0] }, /weights must be above 0, got 0/);
  refused([translator, translator], { weights: [1, Number.NaN] }, /weights/);
  refused([translator, translator], { mean: "harmonic" }, /mean/);
  refused([translator, translator], { weight: [1, 2] }, /weight/);
  const small = { units: 4, source };
  const shorter = await Tokenizer.train(["abc"], { type: "character" });
  refused([translator, Seq2Seq.recurrent({ ...small, target: shorter })], {}, /another number of tokens/);
  const other = await Tokenizer.train(["abcdefghijklmnoq"], { type: "character" });
  refused([translator, Seq2Seq.recurrent({ ...small, target: other })], {}, /another token 19 of the target \("q"\)/);
  const { model } = translator;
  const framed = Seq2Seq.fromModel({ model, source, target, beginToken: "a" });
  refused([translator, framed], {}, /other padding, begin or end tokens/);
  const both = Seq2Seq.ensemble([translator, translator]);
  await t.throwsAsync(both.generate(texts, { outputAttentions: true }), {
    code: "OPTION",
    message: /outputAttentions/,
  });
  await t.throwsAsync(both.generate("abc" as never), { code: "OPTION" });
  await t.throwsAsync(both.stream(5 as never).next(), { code: "DATA" });
});
