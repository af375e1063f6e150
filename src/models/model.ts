import { inspect } from "node:util";
import type { NdArray } from "../data/ndarray.ts";
import { GraphError, OptionError, StateError } from "../errors.ts";
import { buildGraph, documentOf, type ModelGraph } from "../graph/build-document.ts";
import { Callable } from "../graph/callable.ts";
import { replay } from "../graph/collect.ts";
import type { GraphDocument } from "../graph/document.ts";
import { type Signature, SymbolicTensor } from "../graph/tensor.ts";
import type { Layer } from "../layers/layer.ts";
import { describedWeights, readWeights, type WeightArray, writeWeights } from "../layers/weights.ts";
import { checkSeed, ModelHandle, type TrainerHandle } from "../native.ts";
import type { ProvidedWeight } from "../native-interface.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";
import { checkKeys, checkSignal } from "../options.ts";
import { type LoadWeightsOptions, readForeignWeights } from "../saving/foreign/load.ts";
import { wantedLayer } from "../saving/foreign/weights.ts";
import { saveModel } from "../saving/save-model.ts";
import { testOnBatch, trainOnBatch } from "../training/batch.ts";
import { type BatchData, isBatchData, type ModelData, type TrainingData } from "../training/data.ts";
import { evaluate } from "../training/evaluate.ts";
import { fit } from "../training/fit.ts";
import type { History, Logs } from "../training/history.ts";
import type { MixedPrecision } from "../training/mixed-precision.ts";
import type { BatchOptions, EvaluateOptions, FitOptions, PredictOptions, StepsOptions } from "../training/options.ts";
import { type Prediction, predict } from "../training/predict.ts";
import { type StepsData, steps, type TrainingStep } from "../training/steps.ts";
import type { TensorSpecification, Trainable, TrainedOutput } from "../training/trainable.ts";
import { type Compilation, type CompileOptions, checkCompile, compilationDocument } from "./compile.ts";
import type { BuildOptions, SaveOptions } from "./model-options.ts";
import { type SummaryOptions, summaryLines } from "./summary.ts";

/**
 * The layers between input tensors and output tensors. Models over the same layers share their weights. Called on tensors, a
 * model gives the outputs that its layers make of them.
 */
export class Model extends Callable implements Trainable {
  /** Its name, default `"model"`. */
  readonly name: string;
  /** Set by callbacks to end `fit` after the current epoch. */
  stopTraining = false;
  readonly #graph: ModelGraph;
  readonly #single: boolean;
  readonly #handle: ModelHandle;
  readonly #outputNames: readonly string[];
  #compilation: Compilation | undefined;
  #trainer: TrainerHandle | undefined;
  #building: Promise<void> = Promise.resolve();
  /** Whether all weights are known to exist: `build` is called before every step of an own loop. */
  #built = false;
  #disposed = false;

  /** @internal */
  constructor(name: string, inputs: readonly SymbolicTensor[], outputs: SymbolicTensor | readonly SymbolicTensor[]) {
    super();
    this.name = name;
    this.#single = outputs instanceof SymbolicTensor;
    const list = outputs instanceof SymbolicTensor ? [outputs] : outputs;
    this.#graph = buildGraph(inputs, list);
    const { layers, names } = this.#graph;
    this.#handle = new ModelHandle(
      JSON.stringify(documentOf(this.#graph)),
      layers.map((layer) => layer.handle()),
      "cpu",
    );
    this.#outputNames = uniqueNames(list.map(({ node }) => names.get(node.layer)!));
  }

  /** The tensors that stand for data. */
  get inputs(): readonly SymbolicTensor[] {
    return this.#graph.inputs;
  }

  /** The tensors that are computed. */
  get outputs(): readonly SymbolicTensor[] {
    return this.#graph.outputs;
  }

  /** The layers in Keras' order, inputs included. */
  get layers(): readonly Layer[] {
    return this.#graph.layers;
  }

  /** Names of the outputs: those of the layers that make them. */
  get outputNames(): readonly string[] {
    return this.#outputNames;
  }

  /**
   * A layer by its name.
   *
   * @param name - As `summary` shows it.
   * @throws GraphError if there is none.
   */
  getLayer(name: string): Layer {
    for (const [layer, own] of this.#graph.names) if (own === name) return layer;
    const whole = this.#graph.nodes.find(({ scope }) => scope?.layer.name === name)?.scope;
    if (whole !== undefined) return whole.layer;
    throw new GraphError(
      `model ${this.name}: there is no layer ${name}; layers are ${[...this.#graph.names.values()].join(", ")}`,
    );
  }

  /** @internal */
  call(...args: unknown[]): SymbolicTensor | SymbolicTensor[] {
    const [given] = args;
    const tensors: readonly unknown[] = Array.isArray(given) ? given : [given];
    const { inputs } = this;
    if (args.length !== 1 || tensors.length !== inputs.length) {
      throw new OptionError(`model ${this.name}: expected ${inputs.length} tensors, got ${tensors.length}`);
    }
    const replacements = new Map(
      inputs.map((input, index) => {
        const tensor = tensors[index];
        if (tensor instanceof SymbolicTensor) return [input, tensor];
        throw new OptionError(
          `model ${this.name}: input ${index} must be a tensor from input() or from a layer; data go to predict`,
        );
      }),
    );
    const outputs = replay(this.outputs, replacements);
    return this.#single ? outputs[0]! : outputs;
  }

  /**
   * Prints a table of the layers with shapes, parameters and bytes.
   *
   * @param options - Where it is printed.
   * @returns The printed text.
   */
  summary(options: SummaryOptions = {}): string {
    checkKeys(`model ${this.name}: summary`, options, ["print"]);
    const lines = summaryLines(this.name, this.#graph);
    for (const line of lines) (options.print ?? console.log)(line);
    return lines.join("\n");
  }

  /** Count of numbers in all weights. */
  countParams(): number {
    return this.layers.reduce((sum, layer) => sum + layer.countParams(), 0);
  }

  /**
   * Sets what the model is trained with. State of an earlier optimiser is lost.
   *
   * @param options - Optimiser, losses, metrics.
   * @throws OptionError if an option is unknown; ShapeError if a loss does not fit an output; StateError if disposed of.
   */
  compile(options: CompileOptions): void {
    // With the names that the addon has for unknown sizes.
    const { outputs } = JSON.parse(this.handle().describe()) as { outputs: Signature[] };
    this.compileWith(checkCompile(`model ${this.name}: compile`, options, this.#outputNames, outputs));
  }

  /** @internal */
  compileWith(compilation: Compilation): void {
    // Schedules decide step by step on this side; the addon gets the rate of each step.
    const document = compilationDocument(compilation, compilation.optimizer.constantRate);
    const trainer = this.handle().compile(JSON.stringify(document));
    this.#trainer?.dispose();
    this.#trainer = trainer;
    this.#compilation = compilation;
    this.mixedPrecision = compilation.mixedPrecision ?? false;
  }

  /** What steps of training and tests are computed in. @internal */
  mixedPrecision: MixedPrecision = false;

  /** What the model was compiled with. @internal */
  get compilation(): Compilation | undefined {
    return this.#compilation;
  }

  /**
   * The optimiser; its learning rate can be set.
   *
   * @throws StateError if the model is not compiled.
   */
  get optimizer(): Optimizer {
    return this.#compiled().optimizer;
  }

  #compiled(): Compilation {
    if (this.#compilation !== undefined) return this.#compilation;
    throw new StateError(`model ${this.name} is not compiled: call compile first`);
  }

  /** @internal */
  get inputSpecifications(): readonly TensorSpecification[] {
    return this.inputs.map((tensor) => this.#specification(tensor, this.#graph.names.get(tensor.node.layer)!));
  }

  /** What each output is, whether the model is compiled or not. @internal */
  get outputSpecifications(): readonly TensorSpecification[] {
    return this.outputs.map((tensor, index) => this.#specification(tensor, this.#outputNames[index]!));
  }

  #specification({ signature: { shape, dtype } }: SymbolicTensor, name: string): TensorSpecification {
    return { name, shape, dtype };
  }

  /** @internal */
  get trainedOutputs(): readonly TrainedOutput[] {
    const { outputs } = this.#compiled();
    return this.outputSpecifications.map((specification, index) => {
      const { loss, weight, metrics, weightedMetrics } = outputs[index]!;
      return { ...specification, lossWeight: loss === null ? null : weight, metrics, weightedMetrics };
    });
  }

  /**
   * Trains, as Keras' `fit` does. Builds the model first if that was not done.
   *
   * @param x - Inputs; arrays must not change before the promise settles.
   * @param y - Targets: ids with one axis less than the output (or a last axis of size 1), or probabilities in its shape.
   * @param options - How long, on what, and who is told.
   * @returns The values of each epoch.
   * @throws ShapeError, DataError or OptionError if data or options are wrong; StateError if the model is not compiled or is
   * being trained already; NaNLossError if the loss is not a finite number; the signal's reason after an abort; what a
   * callback throws. The model can be used after any of these.
   */
  fit(x: ModelData, y: ModelData, options?: FitOptions): Promise<History>;
  /**
   * Trains on data that come in batches with their targets.
   *
   * @param data - Batches.
   * @param options - How long, and who is told.
   */
  fit(data: BatchData, options?: FitOptions): Promise<History>;
  async fit(x: TrainingData, y?: ModelData | FitOptions, options?: FitOptions): Promise<History> {
    return fit(this, x, y, options);
  }

  /**
   * Losses and metrics on data.
   *
   * @param x - Inputs.
   * @param y - Targets, as for `fit`.
   * @param options - How many rows a step, how far, and who is told.
   * @returns `loss` (the mean over batches weighted by their rows, as in Keras) and the metrics.
   * @throws ShapeError, DataError or OptionError if data or options are wrong; StateError if the model is not compiled; the
   * signal's reason after an abort.
   */
  evaluate(x: ModelData, y: ModelData, options?: EvaluateOptions): Promise<Logs & { loss: number }>;
  /**
   * Losses and metrics on data that come in batches with their targets.
   *
   * @param data - Batches.
   * @param options - How far, and who is told.
   */
  evaluate(data: BatchData, options?: EvaluateOptions): Promise<Logs & { loss: number }>;
  async evaluate(
    x: TrainingData,
    y?: ModelData | EvaluateOptions,
    options?: EvaluateOptions,
  ): Promise<Logs & { loss: number }> {
    return evaluate(this, x, y, options);
  }

  /**
   * The outputs for data that come in batches, each batch alone since lengths may differ; targets are not looked at.
   *
   * @param data - Batches.
   * @param options - How far, and who is told.
   */
  predict(data: BatchData, options?: PredictOptions): Promise<Prediction[]>;
  /**
   * The outputs. The model need not be compiled, and is built first if that was not done.
   *
   * @param x - Inputs.
   * @param options - How many rows a step, how far, and who is told.
   * @returns `[rows, ...]`; a list of them if the outputs of the model were given as a list.
   * @throws ShapeError, DataError or OptionError if data or options are wrong; the signal's reason after an abort.
   */
  predict(x: ModelData, options?: PredictOptions): Promise<Prediction>;
  async predict(x: TrainingData, options?: PredictOptions): Promise<Prediction | Prediction[]> {
    const listed = (prediction: Prediction) => (this.#single || Array.isArray(prediction) ? prediction : [prediction]);
    if (isBatchData(x)) return (await predict(this, x, options)).map(listed);
    return listed(await predict(this, x, options));
  }

  /**
   * Trains step by step, for an own loop: the next step begins when the next value is asked for.
   *
   * @param data - Data in batches, or arrays as `{ x, y }`.
   * @param options - How long, and in which order.
   * @throws While reading, what `fit` throws; but a loss that is not a number is no error.
   *
   * @example
   * ```ts
   * import type { Model, TrainingData } from "sconce";
   *
   * async function printLosses(model: Model, data: TrainingData) {
   *   for await (const step of model.steps(data, { epochs: 2 })) console.log(step.iteration, step.loss);
   * }
   * ```
   */
  steps(data: TrainingData | StepsData, options?: StepsOptions): AsyncGenerator<TrainingStep, void, undefined> {
    return steps(this, data, options);
  }

  /**
   * Trains on one batch.
   *
   * @param x - Inputs of the batch.
   * @param y - Targets of the batch, as for `fit`.
   * @param options - Weights of rows or classes.
   * @returns Loss and metrics of this batch, from before the update.
   * @throws What `fit` throws.
   */
  async trainOnBatch(x: ModelData, y: ModelData, options?: BatchOptions): Promise<Logs & { loss: number }> {
    return trainOnBatch(this, x, y, options);
  }

  /**
   * Losses and metrics of one batch; nothing changes.
   *
   * @param x - Inputs of the batch.
   * @param y - Targets of the batch, as for `fit`.
   * @param options - Weights of rows or classes.
   * @throws What `evaluate` throws.
   */
  async testOnBatch(x: ModelData, y: ModelData, options?: BatchOptions): Promise<Logs & { loss: number }> {
    return testOnBatch(this, x, y, options);
  }

  /**
   * Replaces each trained weight by its average over the steps, if the optimiser was made with `useEma`. `fit` does this at its
   * end; an own loop calls it after its last step.
   *
   * @throws StateError if the model is not compiled.
   * @see `keras.optimizers.Optimizer.finalize_variable_values`
   */
  async finalizeVariableValues(): Promise<void> {
    return this.trainer().finalizeVariableValues();
  }

  /** Whether a layer carries states from batch to batch: option `stateful` of recurrent layers. */
  get stateful(): boolean {
    return this.layers.some(({ options }) => options.stateful === true);
  }

  /**
   * Makes the states that stateful layers carry from batch to batch zeros, after the calls that were made before. `fit` and
   * `evaluate` do it themselves.
   *
   * @throws StateError if the model is disposed of.
   * @see `reset_state` of `keras.layers.RNN`
   */
  async resetStates(): Promise<void> {
    return this.handle().resetStates();
  }

  /**
   * Makes the weights that do not exist yet; weights of layers that are shared with a built model stay.
   *
   * @param options - Seed and signal.
   * @throws FileError if pre-trained vectors are missing, naming path and layer; the signal's reason if aborted.
   */
  async build(options: BuildOptions = {}): Promise<void> {
    checkKeys(`model ${this.name}: build`, options, ["seed", "signal"]);
    checkSignal(`model ${this.name}: build`, options.signal);
    const seed = checkSeed(options.seed ?? 0);
    this.handle();
    if (this.#built) return;
    const earlier = this.#building.catch(() => undefined);
    const building = earlier.then(() => this.#build(seed, options.signal));
    // Who called sees the rejection; this chain only keeps the order.
    this.#building = building.catch(() => undefined);
    return building;
  }

  async #build(seed: number, signal: AbortSignal | undefined): Promise<void> {
    const handle = this.handle();
    const provided: ProvidedWeight[] = [];
    const missing = describedWeights(handle).filter(({ built }) => !built);
    for (const { layer, name, shape } of missing) {
      signal?.throwIfAborted();
      const provider = this.getLayer(layer).providers[name];
      if (provider !== undefined) {
        provided.push({ layer, weight: name, data: await provider({ layer, shape, seed, signal }) });
      }
    }
    signal?.throwIfAborted();
    if (missing.length > 0) await this.handle().build(seed, provided);
    this.#built = true;
  }

  /**
   * Copies of all weights, in Keras' order and layouts.
   *
   * @throws StateError if the model is not built.
   */
  async getWeights(): Promise<NdArray<Float32Array>[]> {
    return readWeights(this.handle());
  }

  /**
   * Sets all weights, of an unbuilt model too.
   *
   * @param weights - One array per weight, in the order and shapes of `getWeights`.
   * @throws ShapeError if arrays do not fit.
   */
  async setWeights(weights: readonly WeightArray[]): Promise<void> {
    return writeWeights(`model ${this.name}`, this.handle(), weights);
  }

  /**
   * Writes the weights alone to a safetensors file, with names `layer/weight`; an old file is replaced at once or not at all.
   *
   * @param path - The file.
   * @throws FileError if it cannot be written; StateError if the model is not built.
   */
  async saveWeights(path: string): Promise<void> {
    return this.handle().saveWeights(path, JSON.stringify({ format: "sconce-weights", version: "1" }));
  }

  /**
   * Sets weights from a file of `saveWeights`, of Keras 3 (`.weights.h5` or `.keras`) or of PyTorch (a `state_dict` as
   * safetensors), of an unbuilt model too. Nothing is changed if anything is wrong.
   *
   * @param path - The file.
   * @param options - Who wrote it, and which parts of it belong where.
   * @throws FileError if it cannot be read; FormatError if it is damaged or holds other layers; ShapeError naming the layer whose
   * weights have another shape; OptionError if an option is wrong, or if which parts belong where cannot be told without one.
   */
  async loadWeights(path: string, options: LoadWeightsOptions = {}): Promise<void> {
    const layers = this.layers.map((layer) => wantedLayer(layer, this.#graph.names.get(layer)!));
    const target = { where: `model ${this.name}: loadWeights`, layers };
    const loaded = await readForeignWeights(target, path, options);
    if (loaded === undefined) return this.handle().loadWeights(path, options.dtype);
    const described = describedWeights(this.handle());
    const given = new Map(loaded.map(({ layer, values }) => [layer, [...values]]));
    // Layers that the file says nothing of keep their weights.
    if (described.some(({ layer }) => !given.has(layer))) await this.build();
    const before = described.every(({ layer }) => given.has(layer)) ? [] : await this.handle().getWeights();
    await this.handle().setWeights(described.map(({ layer }, index) => given.get(layer)?.shift() ?? before[index]!));
  }

  /**
   * Writes the whole model as a folder that `loadModel` reads: graph, weights, and if it is compiled what it was compiled
   * with and the optimiser's state. An old folder is replaced whole or not at all.
   *
   * @param folder - Its parents are made; a folder with other files is not replaced.
   * @param options - Further files.
   * @throws FileError if it cannot be written; StateError if the model is not built.
   */
  async save(folder: string, options: SaveOptions = {}): Promise<void> {
    return saveModel(this, folder, options);
  }

  /** The graph as saved models hold it. @internal */
  get document(): GraphDocument {
    return documentOf(this.#graph);
  }

  /** Whether `outputs` was given as one tensor, not as a list. @internal */
  get hasSingleOutput(): boolean {
    return this.#single;
  }

  /** @internal */
  handle(): ModelHandle {
    if (this.#disposed) throw new StateError(`model ${this.name} is disposed of`);
    return this.#handle;
  }

  /** @internal */
  trainer(): TrainerHandle {
    this.handle();
    this.#compiled();
    return this.#trainer!;
  }

  /** Frees optimiser state, and the weights that no other model shares. Calling it again does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#trainer?.dispose();
    this.#handle.dispose();
  }

  /** {@link Model.dispose}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  /** @internal */
  [inspect.custom](): string {
    return `Model(${this.name})`;
  }
}

/** Names, with `.1`, `.2` after those that occur again. */
function uniqueNames(names: readonly string[]): string[] {
  return names.map((name, index) => {
    const before = names.slice(0, index).filter((other) => other === name).length;
    return before === 0 ? name : `${name}.${before}`;
  });
}
