/** A model whose weights are a hash of all that it was trained with: two runs end equal only if every step was. */
import { readFile, writeFile } from "node:fs/promises";
import { fromNative } from "../../src/errors.ts";
import { type ModelHandle, replaceAddon, type TrainerHandle } from "../../src/native.ts";
import type { Batch, Dimension, NativeAddon, StepRequest, StepResult } from "../../src/native-interface.ts";
import type { TensorSpecification, Trainable, TrainedOutput } from "../../src/training/trainable.ts";

const accuracy = { name: "accuracy", read: (total: number, count: number) => total / count };

/** An output with a loss and accuracy. */
export function output(name: string, shape: Dimension[], lossWeight: number | null = 1): TrainedOutput {
  return { name, shape, dtype: "float32", lossWeight, metrics: lossWeight === null ? [] : [accuracy] };
}

/** A request with its arrays copied, since the real engine copies them at the call. */
function copied(request: StepRequest): StepRequest {
  return structuredClone(request);
}

function mix(hash: number, values: Iterable<number>): number {
  let result = hash;
  for (const value of values) result = (Math.imul(result ^ Math.round(value * 4096), 0x01000193) + 0x9e3779b9) >>> 0;
  return result;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

export interface FakeOptions {
  inputs?: TensorSpecification[];
  outputs?: TrainedOutput[];
  /** The loss of a step, by its number since the model was made. */
  loss?: (step: number) => number;
  /** The loss of a test step. */
  testLoss?: (step: number) => number;
}

export class FakeModel implements Trainable {
  readonly name = "fake";
  readonly inputSpecifications: readonly TensorSpecification[];
  readonly trainedOutputs: readonly TrainedOutput[];
  mixedPrecision: Trainable["mixedPrecision"] = false;
  stopTraining = false;
  weights = 1;
  updates = 0;
  /** Hash of gradients that were not applied yet. */
  gradients = 0;
  trained: StepRequest[] = [];
  tested: StepRequest[] = [];
  saves: string[] = [];
  running = 0;
  mostRunning = 0;
  #rate = 0.01;
  readonly #options: FakeOptions;

  readonly optimizer: Trainable["optimizer"];

  constructor(options: FakeOptions = {}) {
    this.#options = options;
    this.inputSpecifications = options.inputs ?? [{ name: "ids", shape: ["batch", "time"], dtype: "int32" }];
    this.trainedOutputs = options.outputs ?? [output("dense", ["batch", "time", 5])];
    const self = this;
    this.optimizer = {
      get learningRate() {
        return self.#rate;
      },
      set learningRate(rate: number) {
        self.#rate = rate;
      },
      at: () => self.#rate,
    };
  }

  async build(): Promise<void> {}

  handle(): ModelHandle {
    const handle = {
      predict: async (inputs: Batch[], signal?: AbortSignal): Promise<Batch[]> => {
        await turn();
        signal?.throwIfAborted();
        return this.trainedOutputs.map(() => ({
          data: Float32Array.from(inputs[0]!.data),
          shape: [...inputs[0]!.shape],
        }));
      },
    };
    return handle as unknown as ModelHandle;
  }

  trainer(): TrainerHandle {
    const trainer = {
      trainOnBatch: async (request: StepRequest, signal?: AbortSignal): Promise<StepResult> => {
        const own = copied(request);
        this.running += 1;
        this.mostRunning = Math.max(this.mostRunning, this.running);
        await turn();
        this.running -= 1;
        signal?.throwIfAborted();
        this.trained.push(own);
        const rows = own.inputs[0]!.shape[0]!;
        for (const { data } of [...own.inputs, ...own.targets]) this.gradients = mix(this.gradients, data);
        this.gradients = mix(this.gradients, [own.gradientScale]);
        if (own.update) {
          this.weights = mix(this.weights, [this.gradients, own.learningRate]);
          this.gradients = 0;
          this.updates += 1;
        }
        const loss = this.#options.loss?.(this.trained.length - 1) ?? (this.weights % 1000) / 1000;
        return this.#result(loss, rows);
      },
      testOnBatch: async (request: StepRequest, signal?: AbortSignal): Promise<StepResult> => {
        const own = copied(request);
        await turn();
        signal?.throwIfAborted();
        this.tested.push(own);
        const loss =
          this.#options.testLoss?.(this.tested.length - 1) ?? (mix(this.weights, own.inputs[0]!.data) % 99) / 99;
        return this.#result(loss, own.inputs[0]!.shape[0]!);
      },
      iterations: () => this.updates,
      resetGradients: async (): Promise<void> => {
        this.gradients = 0;
      },
      saveState: async (path: string) => writeFile(path, JSON.stringify({ updates: this.updates })),
      loadState: async (path: string) => {
        this.updates = JSON.parse(await readFile(path, "utf8")).updates;
        this.gradients = 0;
      },
    };
    return trainer as unknown as TrainerHandle;
  }

  #result(loss: number, rows: number): StepResult {
    const outputs = this.trainedOutputs.map(({ metrics }, index) => ({
      loss: loss / (index + 1),
      metrics: metrics.map(() => ({ total: Math.min(rows, 2), count: rows })),
    }));
    return { loss, outputs, tokens: rows, milliseconds: 1 };
  }

  async getWeights(): Promise<{ data: Float32Array; shape: readonly number[] }[]> {
    return [{ data: Float32Array.of(this.weights >>> 16, this.weights & 0xffff), shape: [2] }];
  }

  async setWeights(weights: readonly { data: Float32Array }[]): Promise<void> {
    const [high, low] = weights[0]!.data;
    this.weights = (high! * 65536 + low!) >>> 0;
  }

  async save(folder: string): Promise<void> {
    this.saves.push(folder);
  }

  async saveWeights(path: string): Promise<void> {
    this.saves.push(path);
    await writeFile(path, String(this.weights));
  }

  async loadWeights(path: string): Promise<void> {
    try {
      this.weights = Number(await readFile(path, "utf8"));
    } catch (error) {
      throw fromNative(error);
    }
  }
}

/** Lets folders be synced without the addon. */
export function withoutSync(): void {
  replaceAddon({ syncFile: async () => undefined } as unknown as NativeAddon);
}

/** Ids `[rows, time]`, all different, and targets of the same shape. */
export function pairs(rows: number, time = 3): { x: Batch; y: Batch } {
  const ids = Int32Array.from({ length: rows * time }, (_, index) => index);
  return { x: { data: ids, shape: [rows, time] }, y: { data: ids.map((id) => id % 5), shape: [rows, time] } };
}
