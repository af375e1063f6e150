// Time to import the package, then to the end of the first trained step of a small model. Prints one JSON object.
const start = performance.now();
const { environment, input, layers, model } = await import("sconce");
const imported = performance.now();
const x = input({ shape: [8] });
const hidden = layers.dense({ units: 16, activation: "relu" })(x);
const small = model({ inputs: x, outputs: layers.dense({ units: 4, activation: "softmax" })(hidden) });
small.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy" });
const rows = Array.from({ length: 32 }, (_, row) => Array.from({ length: 8 }, (_, column) => (row * column) % 3));
await small.trainOnBatch(
  rows,
  rows.map((_, row) => row % 4),
);
const trained = performance.now();
const { description } = await import("./serve.mjs");
const result = { importMs: imported - start, firstStepMs: trained - imported, ...description(environment()) };
process.stdout.write(`${JSON.stringify(result)}\n`);
