/** Uses the package as a consumer does and prints `works`. */
export async function check({ environment, input, layers, model }) {
  if (typeof environment().version !== "string") throw new Error("no version");
  const x = input({ shape: [2] });
  const small = model({ inputs: x, outputs: layers.dense({ units: 2, activation: "softmax" })(x) });
  small.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
  const inputs = [
    [0, 1],
    [1, 0],
  ];
  const { loss } = await small.trainOnBatch(inputs, [0, 1]);
  if (!(loss > 0)) throw new Error(`loss ${loss}`);
  await small.predict(inputs);
  small.dispose();
  console.log("works");
}
