import test from "ava";
import { sequencesOf, translatorOf } from "./hugging-face.ts";

const texts = ["abcde", "ponm", "gg", "kabfh"];

test("alternatives at a place are what follows each of the best tokens there", async (t) => {
  const translator = await translatorOf("marian");
  const { vocabulary } = translator.target;
  for (const targetPrefix of ["", "a", "kl"]) {
    for (const options of [{}, { numBeams: 3, lengthPenalty: 0 }]) {
      const all = { ...options, maxNewTokens: 8, returnLogProbabilities: true };
      const made = await translator.generate(texts, {
        ...all,
        targetPrefix,
        numReturnSequences: 6,
        returnAlternatives: true,
      });
      for (const [index, own] of made.entries()) {
        const sequences = sequencesOf(own);
        t.is(sequences.length, 6);
        const firsts = sequences.map(({ logProbabilities }) => logProbabilities![0]!);
        t.deepEqual(
          firsts,
          firsts.toSorted((a, b) => b - a),
        );
        for (const { text, tokens, score, logProbabilities } of sequences) {
          const first = tokens[targetPrefix.length];
          if (first === undefined) t.is(logProbabilities!.length, 1);
          // An end, or a special token, which no text has.
          if (first === undefined || first.length > 1) continue;
          const source = texts[index]!;
          const forced = { ...all, maxNewTokens: 7, targetPrefix: `${targetPrefix}${first}` };
          const [expected] = await translator.generate([source], forced);
          t.is(text, expected!.text);
          t.true(Math.abs(score - logProbabilities![0]! - expected!.score) < 1e-4);
          const [scored] = await translator.score([[source, `${targetPrefix}${first}`]]);
          t.true(Math.abs(scored!.logProbabilities[targetPrefix.length]! - logProbabilities![0]!) < 1e-4);
        }
        // The next token after those is less probable.
        const rest = vocabulary.tokens.slice(4).filter((token) => {
          return !sequences.some(({ tokens }) => tokens[targetPrefix.length] === token);
        });
        const scored = await translator.score(rest.map((token) => [texts[index]!, `${targetPrefix}${token}`]));
        t.true(scored.every((one) => one.logProbabilities[targetPrefix.length]! < firsts.at(-1)! + 1e-5));
      }
      t.deepEqual(
        await translator.generate(texts, {
          ...all,
          ...{ targetPrefix, numReturnSequences: 6, returnAlternatives: true, batchSize: 1 },
        }),
        made,
      );
    }
  }
  for (const [options, message] of [
    [{ returnAlternatives: true, doSample: true }, /returnAlternatives goes on with the best tokens/],
    [{ returnAlternatives: true, temperature: 2 }, /returnAlternatives goes on with the best tokens/],
    [{ returnAlternatives: 1 }, /returnAlternatives/],
    [{ returnAlternatives: true, numReturnSequences: 0 }, /numReturnSequences/],
  ] as const) {
    await t.throwsAsync(translator.generate(texts, options as never), { code: "OPTION", message });
  }
  // No more than there are tokens.
  const [many] = await translator.generate(["abc"], {
    ...{ returnAlternatives: true, numReturnSequences: 1000, numBeams: 2, maxNewTokens: 3 },
  });
  t.is(sequencesOf(many!).length, vocabulary.size - 1);
});
