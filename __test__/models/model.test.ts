import test from "ava";
import { GraphError, input, layers, model, OptionError, ShapeError, StateError } from "../../src/index.ts";
import { textbook } from "../helpers/textbook.ts";

test("layers are numbered within a model, in the order in which they were made, each time alike", (t) => {
  for (let time = 0; time < 2; time++) {
    const { translator } = textbook();
    t.deepEqual(translator.layers.map(({ name }) => name).sort(), [
      "dense",
      "embedding",
      "input",
      "input1",
      "lstm",
      "lstm1",
    ]);
    t.deepEqual(
      translator.inputSpecifications.map(({ name }) => name),
      ["input", "input1"],
    );
    t.deepEqual(translator.outputNames, ["dense"]);
  }
  t.deepEqual(textbook().translator.document, textbook().translator.document);
});

test("given names are kept, and numbers avoid them", (t) => {
  const x = input({ shape: [2], name: "x" });
  const hidden = layers.dense({ units: 2 })(x);
  const named = layers.dense({ units: 2, name: "dense" })(hidden);
  const { layers: list } = model({ inputs: x, outputs: named });
  t.deepEqual(
    list.map(({ name }) => name),
    ["x", "dense1", "dense"],
  );
});

test("two layers of one name do not fit into a model", (t) => {
  const x = input({ shape: [2] });
  const y = layers.dense({ units: 2, name: "same" })(layers.dense({ units: 2, name: "same" })(x));
  t.throws(() => model({ inputs: x, outputs: y }), { instanceOf: GraphError, message: /two layers are named same/ });
});

test("a missing input and one given twice are errors", (t) => {
  const [x, z] = [input({ shape: [2], name: "x" }), input({ shape: [2], name: "z" })];
  const y = layers.add()([x, z]);
  t.throws(() => model({ inputs: x, outputs: y }), { instanceOf: GraphError, message: /depend on z, which is not/ });
  t.throws(() => model({ inputs: [x, z, x], outputs: y }), { instanceOf: GraphError, message: /x is twice/ });
  t.throws(() => model({ inputs: [], outputs: y }), { instanceOf: OptionError });
  t.throws(() => model({ inputs: [x, z], outputs: [[1]] as never }), { instanceOf: OptionError });
  t.throws(() => model({ input: x, outputs: y } as never), {
    instanceOf: OptionError,
    message: /unknown option "input"/,
  });
  t.notThrows(() => model({ inputs: [x, z], outputs: layers.dense({ units: 1 })(x) }), "an input that is not used");
});

test("weights come in Keras' order: farthest from the outputs first", async (t) => {
  const [source, target] = [input({ shape: [null], dtype: "int32" }), input({ shape: [null], dtype: "int32" })];
  const encoderEmbedding = layers.embedding({ inputDim: 3, outputDim: 2, name: "sourceTable" });
  const [, h, c] = layers.lstm({ units: 2, returnState: true, name: "encoder" })(encoderEmbedding(source));
  const decoderEmbedding = layers.embedding({ inputDim: 4, outputDim: 2, name: "targetTable" });
  const decoder = layers.lstm({ units: 2, returnSequences: true, name: "decoder" });
  const y = layers.dense({ units: 4, name: "out" })(decoder(decoderEmbedding(target), { initialState: [h, c] }));
  const translator = model({ inputs: [source, target], outputs: y });
  // Keras 3.15 lists them so: the decoder's table is met before the encoder at the same distance.
  t.deepEqual(
    translator.layers.filter((layer) => layer.weights.length > 0).map(({ name }) => name),
    ["sourceTable", "targetTable", "encoder", "decoder", "out"],
  );
  await translator.build();
  t.deepEqual(
    (await translator.getWeights()).map(({ shape }) => shape),
    [[3, 2], [4, 2], [2, 8], [2, 8], [8], [2, 8], [2, 8], [8], [2, 4], [4]],
  );
});

test("building keeps what is built, and weights can be set instead", async (t) => {
  const { translator } = textbook();
  await t.throwsAsync(translator.getWeights(), { instanceOf: StateError });
  await Promise.all([translator.build({ seed: 1 }), translator.build({ seed: 2 })]);
  const first = await translator.getWeights();
  await translator.build({ seed: 3 });
  t.deepEqual(await translator.getWeights(), first);

  const { translator: again } = textbook();
  await again.build({ seed: 1 });
  t.deepEqual(await again.getWeights(), first, "the same seed gives the same weights");

  const { translator: unbuilt } = textbook();
  await unbuilt.setWeights(first);
  t.deepEqual(await unbuilt.getWeights(), first);
  await t.throwsAsync(unbuilt.setWeights(first.slice(1)), { instanceOf: ShapeError, message: /expected 9 arrays/ });
  await t.throwsAsync(unbuilt.setWeights(first.toReversed()), {
    instanceOf: ShapeError,
    message: /embedding\/embeddings/,
  });
  await t.throwsAsync(unbuilt.build({ seed: -1 }), { instanceOf: OptionError });
  await t.throwsAsync(unbuilt.build({ sead: 1 } as never), { instanceOf: OptionError });
});

test("inference models over the tensors and layers of another share its weights", async (t) => {
  const { translator, encoderInputs, stateH, stateC, embedding, decoderInputs, decoderLstm, decoderDense } = textbook();
  await translator.build({ seed: 1 });
  const encoder = model({ inputs: encoderInputs, outputs: [stateH, stateC] });
  const [h, c] = [input({ shape: [4] }), input({ shape: [4] })];
  const [y, h1, c1] = decoderLstm(embedding(decoderInputs), { initialState: [h, c] });
  const decoder = model({ inputs: [decoderInputs, h, c], outputs: [decoderDense(y), h1, c1] });

  const weights = await translator.getWeights();
  t.deepEqual(await encoder.getWeights(), weights.slice(0, 4));
  t.deepEqual(await decoder.getWeights(), [weights[0]!, ...weights.slice(4)]);
  t.deepEqual(decoder.outputNames, ["dense", "lstm1", "lstm1.1"]);

  weights.at(-1)!.data.fill(7);
  await translator.setWeights(weights);
  t.true((await decoder.getWeights()).at(-1)!.data.every((value) => value === 7));
  encoder.dispose();
  t.deepEqual(await translator.getWeights(), weights, "disposing of one leaves the other");
});

test("a model is called like a layer", async (t) => {
  const x = input({ shape: [3] });
  const inner = model({ inputs: x, outputs: layers.dense({ units: 2 })(x), name: "inner" });
  const [a, b] = [input({ shape: [null, 3] }), input({ shape: [null, 3] })];
  const y = layers.add()([inner(a), inner([b])]);
  t.deepEqual(y.shape, [null, null, 2]);
  const outer = model({ inputs: [a, b], outputs: y });
  t.is(outer.document.nodes.length, 5);
  t.is(outer.document.layers.length, 4, "one dense layer, called twice");
  await inner.build();
  const [kernel, bias] = await inner.getWeights();
  kernel!.data.fill(3);
  await inner.setWeights([kernel!, bias!]);
  t.deepEqual(await outer.getWeights(), [kernel!, bias!]);

  t.throws(() => inner(input({ shape: [4] })), { instanceOf: ShapeError, message: /layer dense/ });
  t.throws(() => inner([a, b]), { instanceOf: OptionError, message: /model inner: expected 1 tensors, got 2/ });
  t.throws(() => inner([[1, 2, 3]] as never), { instanceOf: OptionError, message: /data go to predict/ });
  const both = model({ inputs: x, outputs: [x, layers.dense({ units: 2 })(x)] });
  t.is(both(x).length, 2);
});

test("a model may begin at any tensor", (t) => {
  const x = input({ shape: [null], dtype: "int32" });
  const embedded = layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true })(x);
  const y = layers.lstm({ units: 2 })(embedded);
  const rest = model({ inputs: embedded, outputs: y });
  t.deepEqual(rest.inputs[0]!.shape, [null, null, 3]);
  t.deepEqual(
    rest.layers.map(({ type }) => type),
    ["input", "lstm"],
  );
});

test("trainable can be set at any time and is in the document", async (t) => {
  const { translator, embedding } = textbook();
  embedding.trainable = false;
  t.is(translator.document.layers.find(({ name }) => name === "embedding")!.trainable, false);
  t.regex(translator.summary({ print: () => undefined }), /Non-trainable parameters: 36 \(144 B\)/);
  t.throws(() => Object.assign(embedding, { trainable: "no" }), { instanceOf: OptionError });
});

test("getLayer finds a layer or names those that there are", (t) => {
  const { translator, decoderDense } = textbook();
  t.is(translator.getLayer("dense"), decoderDense);
  t.throws(() => translator.getLayer("dance"), { instanceOf: GraphError, message: /layers are .*dense/ });
});

test("summary shows shapes, parameters, bytes and connections", (t) => {
  const { translator } = textbook();
  const lines: string[] = [];
  const text = translator.summary({ print: (line) => lines.push(line) });
  t.is(text, lines.join("\n"));
  t.regex(text, /^Model model: input, input1 → dense$/m);
  t.regex(text, /^embedding \(embedding\) +\[batch, \?, 3\] +36 +144 B +input$/m);
  t.regex(text, /^embedding \(embedding\) +\[batch, \?, 3\] +shared +input1$/m);
  t.regex(text, /^lstm1 \(lstm\) .* 128 +512 B +embedding, lstm\[1\], lstm\[2\]$/m);
  t.regex(text, /^Total parameters: 352 \(1\.38 KiB\)$/m);
  t.is(translator.countParams(), 352);
});

test("a model that was disposed of refuses its calls", async (t) => {
  const { translator } = textbook();
  await translator.build();
  translator.dispose();
  translator.dispose();
  const gone = { instanceOf: StateError, message: /model model is disposed of/ };
  await t.throwsAsync(translator.getWeights(), gone);
  await t.throwsAsync(translator.build(), gone);
  await t.throwsAsync(translator.saveWeights("never"), gone);
  t.throws(() => translator.compile({ loss: "categoricalCrossentropy" }), gone);
});
