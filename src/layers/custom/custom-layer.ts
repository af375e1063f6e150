import { inspect } from "node:util";
import type { NdArray } from "../../data/ndarray.ts";
import { OptionError, ShapeError, StateError } from "../../errors.ts";
import { within } from "../../graph/scope.ts";
import { SymbolicTensor } from "../../graph/tensor.ts";
import { mask as maskOf, training, withMask } from "../../ops/parts.ts";
import { freeName, Layer, type LayerOptions, type LayerWeight } from "../layer.ts";
import { WeightLayer } from "../weight.ts";
import type { WeightArray } from "../weights.ts";
import { checkParts, type WeightRequest } from "./parts.ts";

/** A mask, or none. */
export type MaybeMask = SymbolicTensor | null | undefined;

/** What a custom layer does, without types of its options. */
export interface Behaviour {
  readonly name: string;
  build(shapes: readonly (readonly (number | null)[])[]): unknown;
  call(
    inputs: readonly SymbolicTensor[],
    parts: Readonly<Record<string, SymbolicTensor | Layer>>,
    context: Context,
  ): unknown;
  computeMask?(inputs: readonly SymbolicTensor[], masks: readonly MaybeMask[]): unknown;
}

/** What `call` is told besides. */
export interface Context {
  /** 1 in training, 0 otherwise: for `ops.where`. */
  readonly training: SymbolicTensor;
  /** The masks of the inputs as floats, 1 where a position counts. */
  readonly masks: readonly (SymbolicTensor | undefined)[];
}

/** A part of a layer: a weight with its tensor, or a layer. */
type Part = {
  readonly key: string;
  readonly layer: Layer;
  readonly request?: WeightRequest;
  readonly tensor?: SymbolicTensor;
};

/**
 * A layer that is made of others. In a graph there are its parts alone, so that a saved model needs no code of the user.
 *
 * @internal
 */
export class CustomLayer extends Layer {
  readonly #behaviour: Behaviour;
  readonly #given: boolean;
  #parts: readonly Part[] | undefined;
  #modelName: string | undefined;

  /** @internal */
  constructor(behaviour: Behaviour, common: LayerOptions) {
    super({ type: behaviour.name, common, options: {} });
    this.#behaviour = behaviour;
    this.#given = common.name !== undefined;
  }

  override get name(): string {
    return this.#modelName ?? super.name;
  }

  /** @internal */
  get hasGivenName(): boolean {
    return this.#given;
  }

  /** @internal */
  prefixIn(taken: (name: string) => boolean): string {
    if (!this.#given) this.#modelName ??= freeName(this.type, taken);
    return this.name;
  }

  override get trainable(): boolean {
    return super.trainable;
  }

  override set trainable(trainable: boolean) {
    super.trainable = trainable;
    for (const { layer, request } of this.#parts ?? []) layer.trainable = trainable && (request?.trainable ?? true);
  }

  override get weights(): readonly LayerWeight[] {
    return (this.#parts ?? []).flatMap(({ key, layer, request }) =>
      layer.weights.map(({ name, shape }) => ({ name: request === undefined ? `${key}.${name}` : key, shape })),
    );
  }

  override async getWeights(): Promise<NdArray<Float32Array>[]> {
    const arrays: NdArray<Float32Array>[] = [];
    for (const layer of this.#weighted()) arrays.push(...(await layer.getWeights()));
    return arrays;
  }

  override async setWeights(weights: readonly WeightArray[]): Promise<void> {
    const layers = this.#weighted();
    const count = layers.reduce((sum, layer) => sum + layer.weights.length, 0);
    if (!Array.isArray(weights) || weights.length !== count) {
      throw new ShapeError(`layer ${this.name}: expected ${count} arrays of weights`);
    }
    let start = 0;
    for (const layer of layers) {
      await layer.setWeights(weights.slice(start, start + layer.weights.length));
      start += layer.weights.length;
    }
  }

  #weighted(): Layer[] {
    if (this.#parts === undefined) {
      throw new StateError(`layer ${this.name} belongs to no model yet: it has no weights before`);
    }
    return this.#parts.map(({ layer }) => layer).filter((layer) => layer.weights.length > 0);
  }

  #build(inputs: readonly SymbolicTensor[]): readonly Part[] {
    const where = `layer ${this.name}`;
    return checkParts(where, this.#behaviour.build(inputs.map(({ shape }) => shape))).map(([key, part]) => {
      if (part instanceof Layer) return { key, layer: part };
      const trainable = part.trainable && this.trainable;
      const layer = new WeightLayer(
        `${this.name}.${key}`,
        part.shape,
        part.initializer,
        trainable,
        part.rules,
        this,
        key,
      );
      return { key, layer, request: part, tensor: layer.apply([])[0]! };
    });
  }

  /** @internal */
  call(...inputs: unknown[]): SymbolicTensor | readonly SymbolicTensor[] {
    const where = `layer ${this.name}`;
    const tensors = inputs.flat().map((input) => {
      if (input instanceof SymbolicTensor) return input;
      throw new OptionError(
        `${where}: expected tensors from input() or from a layer, got ${inspect(input, { depth: 0 })}`,
      );
    });
    return within({ layer: this }, () => {
      this.#parts ??= this.#build(tensors);
      const parts = Object.fromEntries(this.#parts.map(({ key, layer, tensor }) => [key, tensor ?? layer]));
      const masks = tensors.map((tensor) => (tensor.masked ? maskOf(tensor) : undefined));
      const context = {
        masks,
        get training() {
          return training();
        },
      };
      const result = this.#behaviour.call(tensors, parts, context);
      const outputs = [result].flat().map((output, index) => {
        if (output instanceof SymbolicTensor) return output;
        throw new OptionError(
          `${where}: call must return tensors, output ${index} is ${inspect(output, { depth: 0 })}`,
        );
      });
      const marked = this.#mark(outputs, tensors, masks);
      return Array.isArray(result) ? marked : marked[0]!;
    });
  }

  /** Outputs with the masks of `computeMask`. */
  #mark(
    outputs: readonly SymbolicTensor[],
    inputs: readonly SymbolicTensor[],
    masks: readonly (SymbolicTensor | undefined)[],
  ): SymbolicTensor[] {
    if (this.#behaviour.computeMask === undefined) return [...outputs];
    const made = [this.#behaviour.computeMask(inputs, masks)].flat() as unknown[];
    return outputs.map((output, index) => {
      const mask = made[index];
      if (mask === undefined || mask === null) return output;
      if (mask instanceof SymbolicTensor) return withMask(output, mask);
      throw new OptionError(
        `layer ${this.name}: computeMask must return tensors or null, got ${inspect(mask, { depth: 0 })}`,
      );
    });
  }
}
