import { readFileSync } from "node:fs";
import test from "ava";
import { initializers, input, layers } from "../../src/index.ts";
import { WeightLayer } from "../../src/layers/weight.ts";

const text = readFileSync(new URL("../../docs/graph.md", import.meta.url), "utf8");

/** The rows of the table of layer types. */
function documented(): Map<string, string[]> {
  const rows = [...text.matchAll(/^\| `(\w+)` \|(.*)\|$/gm)].map(([, type, cells]) => {
    // Neither what is in brackets nor an escaped bar belongs to the names.
    const options = cells!
      .split(/(?<!\\)\| /)
      .at(-1)!
      .replace(/ \([^)]*\)/g, "");
    const quoted = [...options.matchAll(/`([^`]*)`/g)];
    // `a, b` lists names; `shape: Dimension[]` also says what the value is.
    const names = quoted.flatMap(([, list]) => list!.split(/, (?=\w+(?:,|:|$))/)).map((name) => name.split(":")[0]!);
    return [type!, names] as const;
  });
  return new Map(rows);
}

test("docs/graph.md lists the options that a graph document has", (t) => {
  const bounds = { slidingWindow: 2, logitSoftCap: 1, useGate: true };
  const limited = { ...bounds, seed: 1 };
  const built = [
    input({ shape: [2] }).node.layer,
    layers.embedding({ inputDim: 3, outputDim: 2 }),
    layers.lstm({ units: 2 }),
    layers.gru({ units: 2 }),
    layers.simpleRnn({ units: 2 }),
    layers.bidirectional({ layer: layers.lstm({ units: 2 }) }),
    layers.dense({ units: 2 }),
    layers.dropout({ rate: 0.5 }),
    layers.activation({ activation: "relu" }),
    layers.concatenate(),
    layers.add(),
    layers.subtract(),
    layers.multiply(),
    layers.average(),
    layers.maximum(),
    layers.minimum(),
    layers.repeatVector({ n: 2 }),
    layers.layerNormalization(),
    layers.transformerEncoder({ intermediateDim: 2, numHeads: 1 }),
    layers.transformerDecoder({ intermediateDim: 2, numHeads: 1 }),
    layers.transformerEncoder({ intermediateDim: 2, numHeads: 1, ...bounds }),
    layers.transformerDecoder({ intermediateDim: 2, numHeads: 1, ...bounds }),
    layers.rmsNormalization(),
    layers.positionalEncoding(),
    layers.relativePositionBias({ numHeads: 1 }),
    layers.reversibleEmbedding({ inputDim: 3, outputDim: 2 }),
    layers.globalAveragePooling1d(),
    layers.globalMaxPooling1d(),
    layers.masking(),
    layers.spatialDropout1d({ rate: 0.5 }),
    layers.softmax(),
    layers.multiHeadAttention({ numHeads: 1, keyDim: 2 }),
    layers.groupedQueryAttention({ numQueryHeads: 2, numKeyValueHeads: 1, headDim: 2 }),
    layers.multiHeadAttention({ numHeads: 1, keyDim: 2, attentionAxes: 1, ...limited }),
    layers.groupedQueryAttention({ numQueryHeads: 2, numKeyValueHeads: 1, headDim: 2, ...limited }),
    layers.attention(),
    layers.attention({ seed: 1 }),
    layers.additiveAttention(),
    layers.additiveAttention({ seed: 1 }),
    layers.attentionRnn({ units: 2 }),
    layers.attentionRnn({ units: 2, dropout: 0.1, recurrentDropout: 0.1 }),
    layers.attentionRnn({ units: 2, layers: 2 }),
    layers.attentionRnn({ units: 2, cell: "gru", attention: "bahdanau" }),
    layers.timeDistributed(layers.dense({ units: 2 })),
    layers.reshape({ targetShape: [2] }),
    layers.flatten(),
    layers.permute({ dims: [1] }),
    layers.dot({ axes: 1 }),
    new WeightLayer("w", [2], initializers.zeros(), true),
  ];
  const table = documented();
  // Some options are only there beside others.
  const options = new Map<string, Set<string>>();
  for (const { type, options: own } of built) {
    options.set(type, new Set([...(options.get(type) ?? []), ...Object.keys(own)]));
  }
  t.deepEqual([...table.keys()].sort(), [...options.keys()].sort());
  for (const [type, names] of options) {
    t.deepEqual([...table.get(type)!].sort(), [...names].sort(), type);
  }
});

test("docs/graph.md lists the weights that shape inference gives", (t) => {
  const ids = input({ shape: [null], dtype: "int32" });
  const embedded = layers.embedding({ inputDim: 3, outputDim: 2 });
  const lstm = layers.lstm({ units: 4 });
  const gru = layers.gru({ units: 4 });
  const simpleRnn = layers.simpleRnn({ units: 4 });
  const dense = layers.dense({ units: 5 });
  dense(lstm(embedded(ids)));
  gru(embedded(ids));
  simpleRnn(embedded(ids));
  const sizes: Record<string, number> = { inputDim: 3, outputDim: 2, D: 2, "4U": 16, "3U": 12, "2": 2, U: 4 };
  const paragraph = text.slice(text.indexOf("Weights, in Keras' order"), text.indexOf("Initialisers are"));
  for (const [layer, own] of [
    [embedded, {}],
    [lstm, {}],
    [gru, {}],
    [simpleRnn, {}],
    [dense, { D: 4, units: 5 }],
  ] as const) {
    const part = new RegExp(`\`${layer.type}\`: ([^;.]*)`).exec(paragraph)![1]!;
    const listed = [...part.matchAll(/`(\w+) \[([^\]]*)\]`/g)].map(([, name, shape]) => ({
      name: name!,
      shape: shape!.split(", ").map((size) => ({ ...sizes, ...own })[size]),
    }));
    t.deepEqual(
      listed,
      layer.weights.map(({ name, shape }) => ({ name, shape: [...shape] })),
      layer.type,
    );
  }
});
