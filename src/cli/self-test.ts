import { input, layers, model, ndarray } from "../index.ts";

/** Trains a small classifier on data that it can learn. */
export async function learn(): Promise<{ first: number; last: number }> {
  const x = input({ shape: [4] });
  await using classifier = model({ inputs: x, outputs: layers.dense({ units: 4, activation: "softmax" })(x) });
  classifier.compile({ optimizer: "adam", loss: "categoricalCrossentropy" });
  const rows = 64;
  const classes = Int32Array.from({ length: rows }, (_, row) => row % 4);
  const data = new Float32Array(rows * 4);
  for (const [row, one] of classes.entries()) data[row * 4 + one] = 1;
  const { history } = await classifier.fit(ndarray(data, [rows, 4]), ndarray(classes, [rows]), {
    epochs: 5,
    verbose: "silent",
    seed: 0,
  });
  return { first: history.loss![0]!, last: history.loss!.at(-1)! };
}
