import test from "ava";
import { input, layers, model, ndarray } from "../../src/index.ts";

test("models that come to share a layer keep the order of their calls", async (t) => {
  const pre = input({ shape: [4] });
  const c = layers.dense({ units: 4 });
  await model({ inputs: pre, outputs: c(pre) }).build();
  const a = layers.dense({ units: 4 });
  const x = input({ shape: [4] });
  const trained = model({ inputs: x, outputs: layers.dense({ units: 4, activation: "softmax" })(a(x)) });
  trained.compile({ optimizer: "sgd", loss: "categoricalCrossentropy" });
  await trained.build();
  const view = model({ inputs: pre, outputs: a(c(pre)) });
  await view.build();
  const data = ndarray(
    Float32Array.from({ length: 256 }, (_, index) => Math.sin(index)),
    [64, 4],
  );
  const classes = ndarray(
    Int32Array.from({ length: 64 }, (_, row) => row % 4),
    [64],
  );
  const steps = Array.from({ length: 200 }, () => trained.trainOnBatch(data, classes));
  const { data: asked } = await view.predict(data);
  await Promise.all(steps);
  t.deepEqual(asked, (await view.predict(data)).data);
});
