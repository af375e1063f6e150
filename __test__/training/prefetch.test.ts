import test from "ava";
import { Dataset } from "../../src/data/dataset.ts";
import type { DataBatch } from "../../src/data/example.ts";
import type { TrainerHandle } from "../../src/native.ts";
import type { StepRequest } from "../../src/native-interface.ts";
import { evaluate, fit, predict, steps } from "../../src/training/index.ts";
import { FakeModel, pairs } from "./fake-model.ts";

const count = 6;

/** A model whose steps end only when the batch after theirs is there. */
class Waiting extends FakeModel {
  prepared = 0;
  /** The most batches that were there, less those that were taken. */
  mostAhead = 0;
  #taken = 0;
  #notify: () => void = () => undefined;

  readonly batches = Dataset.from(Array.from({ length: count }, (_, index) => index)).map(
    async (): Promise<DataBatch> => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      this.prepared += 1;
      this.mostAhead = Math.max(this.mostAhead, this.prepared - this.#taken);
      this.#notify();
      const { x, y } = pairs(2);
      return { inputs: [x], targets: [y] };
    },
  );

  /** Waits, as the engine computes beside the event loop. */
  async computed(): Promise<void> {
    this.#taken += 1;
    const wanted = Math.min(count, this.#taken + 1);
    const late = AbortSignal.timeout(10_000);
    while (this.prepared < wanted) {
      await new Promise<void>((resolve, reject) => {
        this.#notify = resolve;
        late.onabort = () => reject(new Error(`batch ${wanted} is not prepared while step ${this.#taken} runs`));
        if (late.aborted) reject(late.reason);
      });
    }
  }

  override trainer(): TrainerHandle {
    const own = super.trainer();
    const waiting = async <T>(result: Promise<T>): Promise<T> => {
      await this.computed();
      return result;
    };
    return {
      ...own,
      trainOnBatch: (request: StepRequest, signal?: AbortSignal) => waiting(own.trainOnBatch(request, signal)),
      testOnBatch: (request: StepRequest, signal?: AbortSignal) => waiting(own.testOnBatch(request, signal)),
    } as unknown as TrainerHandle;
  }
}

const passes: Record<string, (model: Waiting) => Promise<unknown>> = {
  fit: (model) => fit(model, model.batches, { verbose: "silent" }),
  "fit with steps": (model) => fit(model, model.batches, { verbose: "silent", stepsPerEpoch: 3, epochs: 2 }),
  evaluate: (model) => evaluate(model, model.batches),
  steps: async (model) => {
    for await (const { step } of steps(model, model.batches)) if (step === count - 1) break;
  },
};

for (const [name, run] of Object.entries(passes)) {
  test(`the next batch is prepared while a step runs, and no more than that: ${name}`, async (t) => {
    const model = new Waiting();
    await run(model);
    t.is(model.prepared, count);
    t.is(model.mostAhead, 1);
  });
}

test("predict prepares the next batch too", async (t) => {
  const model = new Waiting();
  const handle = model.handle();
  model.handle = () =>
    ({
      predict: async (...parameters: Parameters<typeof handle.predict>) => {
        await model.computed();
        return handle.predict(...parameters);
      },
    }) as typeof handle;
  await predict(model, model.batches);
  t.is(model.prepared, count);
});
