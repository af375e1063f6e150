import { inspect } from "node:util";
import type { NdArray } from "../data/ndarray.ts";
import { GraphError, OptionError, ShapeError, StateError } from "../errors.ts";
import { Callable } from "../graph/callable.ts";
import type { CallDocument, LayerDocument, LayerOptionsDocument, WeightSpecification } from "../graph/document.ts";
import { LayerNode } from "../graph/node.ts";
import { type Signature, SymbolicTensor } from "../graph/tensor.ts";
import type { Provider } from "../initializers/initializer.ts";
import { inferLayer, LayerHandle, type ModelHandle } from "../native.ts";
import { booleanOption } from "../options.ts";
import { type ActivityRegularizerOption, activityRegularizer } from "./activity-regularizer.ts";
import { modelOfLayer } from "./layer-weights.ts";
import { readWeights, type WeightArray, writeWeights } from "./weights.ts";

/** Options that every layer has. */
export interface LayerOptions {
  /** Unique name within a model, without `/`; default the type with a number, such as `"dense1"`. */
  name?: string;
  /** Whether training changes the weights; default `true`. */
  trainable?: boolean;
  /** A penalty on what the layer gives, which becomes a part of the loss divided by the size of the batch; default none. */
  activityRegularizer?: ActivityRegularizerOption;
}

/** A weight of a layer. */
export interface LayerWeight {
  /** Name within the layer, such as `"kernel"`. */
  readonly name: string;
  /** Sizes of the axes, in Keras' layout. */
  readonly shape: readonly number[];
}

/** What a kind of layer hands to {@link Layer}. */
export interface LayerSetup {
  readonly type: string;
  readonly common: LayerOptions;
  /** All options, defaults included, as docs/graph.md lists them. */
  readonly options: LayerOptionsDocument;
  /** Where the values of weights come from whose initialiser is `provided`. */
  readonly providers?: Readonly<Record<string, Provider>>;
}

/** Options that {@link Layer} itself understands. */
export const commonOptions = ["name", "trainable", "activityRegularizer"] as const;

let serials = 0;
const created = new Map<string, number>();

/** `type`, then `type1`, `type2` and so on: the first that is not taken. */
export function freeName(type: string, taken: (name: string) => boolean): string {
  for (let count = 0; ; count++) {
    const name = count === 0 ? type : `${type}${count}`;
    if (!taken(name)) return name;
  }
}

/** Checks the name of a layer or model: it becomes a part of the names of weights in files. */
export function checkName(where: string, name: unknown): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not occur.
  if (typeof name !== "string" || name.length === 0 || name.length > 256 || /[/\u0000-\u001f\u007f]/.test(name)) {
    throw new OptionError(
      `${where}: name must be a string of 1 to 256 characters without / and control characters, got ${inspect(name)}`,
    );
  }
  return name;
}

/**
 * A layer: options, and weights once it is built. Calling it on symbolic tensors gives symbolic tensors; all calls, and all
 * models that contain it, share its weights.
 */
export abstract class Layer extends Callable {
  /** What kind of layer it is, such as `"dense"`. */
  readonly type: string;
  /** Counts the layers of the process. @internal */
  readonly serial = ++serials;
  /** @internal */
  readonly options: LayerOptionsDocument;
  /** @internal */
  readonly providers: Readonly<Record<string, Provider>>;
  #name: string;
  #named: boolean;
  #trainable: boolean;
  #firstInputs: readonly Signature[] | undefined;
  #weights: readonly WeightSpecification[] | undefined;
  #handle: LayerHandle | undefined;
  /** Type of the layer that this one is within. */
  #owner: string | undefined;

  /** @internal */
  constructor({ type, common, options, providers }: LayerSetup) {
    super();
    this.type = type;
    this.options = Object.freeze({ ...options, ...activityRegularizer(type, common.activityRegularizer) });
    this.providers = providers ?? {};
    this.#named = common.name !== undefined;
    if (common.name === undefined) {
      const count = created.get(type) ?? 0;
      created.set(type, count + 1);
      this.#name = count === 0 ? type : `${type}${count}`;
    } else {
      this.#name = checkName(type, common.name);
    }
    this.#trainable = booleanOption(`layer ${this.#name}`, "trainable", common.trainable ?? true);
  }

  /**
   * The name. A layer that was given none is numbered within the first model that it becomes a part of, so that a model
   * defined twice in one process has the same names.
   */
  get name(): string {
    return this.#name;
  }

  /** Whether models that are compiled from now on change the weights when they are trained. */
  get trainable(): boolean {
    return this.#trainable;
  }

  set trainable(trainable: boolean) {
    this.#trainable = booleanOption(`layer ${this.#name}`, "trainable", trainable);
    this.#handle?.setTrainable(trainable);
  }

  /** The weights in Keras' order; none before the first call. */
  get weights(): readonly LayerWeight[] {
    return (this.#weights ?? []).map(({ name, shape }) => ({ name, shape }));
  }

  /** Count of numbers in all weights; 0 before the first call. */
  countParams(): number {
    return this.weights.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  }

  /**
   * Copies of the weights, in Keras' order and layouts.
   *
   * @throws StateError if the layer belongs to no model, or that model is not built.
   */
  async getWeights(): Promise<NdArray<Float32Array>[]> {
    return this.#alone(readWeights);
  }

  /**
   * Sets all weights.
   *
   * @param weights - One array per weight, in the order and shapes of {@link Layer.getWeights}.
   * @throws StateError if the layer belongs to no model; ShapeError if arrays do not fit.
   */
  async setWeights(weights: readonly WeightArray[]): Promise<void> {
    return this.#alone((handle) => writeWeights(`layer ${this.#name}`, handle, weights));
  }

  /** Runs a call on a model of this layer alone, which ends with it: only models keep weights alive. */
  async #alone<T>(call: (handle: ModelHandle) => Promise<T>): Promise<T> {
    if (this.#handle === undefined || this.#firstInputs === undefined) {
      throw new StateError(`layer ${this.#name} belongs to no model yet: it has no weights before`);
    }
    const handle = modelOfLayer(this.document(this.#name), this.#handle, this.#firstInputs);
    try {
      return await call(handle);
    } finally {
      handle.dispose();
    }
  }

  /**
   * What a call of the layer as a function does.
   *
   * @internal
   */
  abstract call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[];

  /**
   * Adds a call to the graph.
   *
   * @throws ShapeError naming the layer, what it expected and what it got.
   * @internal
   */
  apply(inputs: readonly unknown[], call?: CallDocument): readonly SymbolicTensor[] {
    if (this.#owner !== undefined) {
      throw new OptionError(`layer ${this.#name}: it is within a ${this.#owner} layer: call that one instead`);
    }
    const tensors = inputs.map((input, index) => {
      if (input instanceof SymbolicTensor) return input;
      const got = Array.isArray(input) ? "an array" : inspect(input, { depth: 0 });
      throw new OptionError(
        `layer ${this.#name}: input ${index} must be a tensor from input() or from a layer, got ${got}; data go to model.predict`,
      );
    });
    const signatures = tensors.map((tensor) => tensor.signature);
    const { outputs, weights } = JSON.parse(
      inferLayer(
        JSON.stringify(this.document(this.#name)),
        JSON.stringify(signatures),
        call === undefined ? undefined : JSON.stringify(call),
      ),
    ) as { outputs: Signature[]; weights: WeightSpecification[] };
    this.#keepWeights(weights, signatures);
    return new LayerNode(this, tensors, outputs, call).outputs;
  }

  #keepWeights(weights: readonly WeightSpecification[], inputs: readonly Signature[]): void {
    if (this.#weights === undefined) {
      this.#weights = weights;
      this.#firstInputs = inputs;
      return;
    }
    for (const [index, { name, shape }] of weights.entries()) {
      const before = this.#weights[index]!;
      if (before.shape.join() !== shape.join()) {
        throw new ShapeError(
          `layer ${this.#name}: expected inputs like those of its first call (${name} [${before.shape.join(", ")}]), ` +
            `got inputs that need ${name} [${shape.join(", ")}]`,
        );
      }
    }
  }

  /**
   * Makes it a part of another layer, to which its weights belong from then on.
   *
   * @throws OptionError if it was called, or is a part of another layer.
   * @internal
   */
  belongTo(owner: string): void {
    if (this.#weights !== undefined || this.#owner !== undefined) {
      const why = this.#owner === undefined ? "was called by itself before" : `is within a ${this.#owner} layer`;
      throw new OptionError(`${owner}: layer ${this.#name} ${why}: make another one, weights are not shared with it`);
    }
    this.#owner = owner;
  }

  /**
   * The layer as the graph document has it.
   *
   * @internal
   */
  document(name: string): LayerDocument {
    return { name, type: this.type, trainable: this.#trainable, options: this.options };
  }

  /** Whether the name was given by the user or by an earlier model. @internal */
  get hasFixedName(): boolean {
    return this.#named || this.#handle !== undefined;
  }

  /**
   * The name within a model, which becomes the name for good if the layer had none.
   *
   * @throws GraphError if the name was given by the user and is taken.
   * @internal
   */
  nameIn(taken: (name: string) => boolean): string {
    if (this.hasFixedName) {
      if (!taken(this.#name)) return this.#name;
      if (this.#named) throw new GraphError(`two layers are named ${this.#name}: give one of them another name`);
      return freeName(this.type, taken);
    }
    this.#name = freeName(this.type, taken);
    return this.#name;
  }

  /**
   * The weights in the addon, made when the layer becomes a part of a model.
   *
   * @internal
   */
  handle(): LayerHandle {
    if (this.#handle === undefined) {
      this.#handle = new LayerHandle(this.#name, JSON.stringify(this.#weights ?? []));
      if (!this.#trainable) this.#handle.setTrainable(false);
    }
    return this.#handle;
  }

  /** @internal */
  [inspect.custom](): string {
    return `Layer(${this.type} ${this.#name})`;
  }
}
