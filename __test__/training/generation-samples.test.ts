import test from "ava";
import { OptionError } from "../../src/errors.ts";
import { fit, type GenerationSamplesOptions, generationSamples } from "../../src/training/index.ts";
import { FakeModel, pairs } from "./fake-model.ts";

const { x, y } = pairs(2);

/** What is printed in four epochs, and the limits that were asked for. */
async function printed(options: Partial<GenerationSamplesOptions>) {
  const model = new FakeModel();
  const lines: string[] = [];
  const limits: unknown[] = [];
  const translator = {
    async generate(texts: readonly string[], { maxNewTokens }: { maxNewTokens?: number }) {
      limits.push(maxNewTokens);
      return texts.map((text) => ({ text: `${text}${model.trained.length}` }));
    },
  };
  const print = (line: string) => void lines.push(line);
  const callbacks = [generationSamples({ translator, sources: ["a", "b"], print, ...options })];
  await fit(model, x, y, { epochs: 4, callbacks, verbose: "silent" });
  return { lines, limits };
}

test("translations are printed after each epoch, or after some", async (t) => {
  const { lines, limits } = await printed({});
  t.deepEqual(lines, ["a -> a1", "b -> b1", "a -> a2", "b -> b2", "a -> a3", "b -> b3", "a -> a4", "b -> b4"]);
  t.deepEqual(limits, [128, 128, 128, 128]);
  const some = await printed({ references: ["A", ""], every: 3, maxNewTokens: 5 });
  t.deepEqual(some, { lines: ["a -> a3 (A)", "b -> b3 ()"], limits: [5] });
});

test("a list that is changed later does not matter", async (t) => {
  const sources = ["a"];
  const lines: string[] = [];
  const translator = { generate: async (texts: readonly string[]) => texts.map((text) => ({ text })) };
  const callback = generationSamples({ translator, sources, print: (line) => void lines.push(line) });
  sources.push("b");
  await callback.onEpochEnd(0);
  t.deepEqual(lines, ["a -> a"]);
});

test.serial("lines go to the console; on a terminal they replace the progress bar", async (t) => {
  const { log } = console;
  const { isTTY } = process.stdout;
  const lines: unknown[] = [];
  t.teardown(() => {
    console.log = log;
    process.stdout.isTTY = isTTY;
  });
  const translator = { generate: async () => [{ text: "b" }] };
  for (const terminal of [false, true]) {
    process.stdout.isTTY = terminal;
    console.log = (...args) => void lines.push(...args);
    await generationSamples({ translator, sources: ["a"] }).onEpochEnd(0);
    console.log = log;
  }
  t.deepEqual(lines, ["a -> b", "\r\u001b[2Ka -> b"]);
});

test("options are checked, and errors of generate reject fit", async (t) => {
  const failure = new Error("mine");
  const translator = { generate: () => Promise.reject(failure) };
  for (const options of [
    {},
    { translator: {}, sources: [] },
    { translator, sources: "a" },
    { translator, sources: [1] },
    { translator, sources: ["a"], references: [] },
    { translator, sources: ["a"], every: 0 },
    { translator, sources: ["a"], maxNewTokens: 0 },
    { translator, sources: ["a"], print: "x" },
    { translator, sources: ["a"], numBeams: 2 },
  ]) {
    t.throws(() => generationSamples(options as never), { instanceOf: OptionError }, JSON.stringify(options));
  }
  await t.throwsAsync(printed({ translator }), { is: failure });
});
