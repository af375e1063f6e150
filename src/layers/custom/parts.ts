import { inspect } from "node:util";
import type { ConstraintOption } from "../../constraints/constraint.ts";
import { OptionError } from "../../errors.ts";
import type { SymbolicTensor } from "../../graph/tensor.ts";
import type { Initializer } from "../../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../../initializers/resolve.ts";
import { booleanOption, checkKeys } from "../../options.ts";
import type { RegularizerOption } from "../../regularizers/regularizer.ts";
import { Layer } from "../layer.ts";
import { type WeightRuleDocuments, weightRule } from "../weight-rules.ts";

/** Options of {@link weight}. */
export interface WeightOptions {
  /** How the values begin; default `"glorotUniform"`. */
  initializer?: InitializerName | Initializer;
  /** A penalty on the values, which the loss includes; default none. */
  regularizer?: RegularizerOption;
  /** What the values are brought back to after each step; default nothing. */
  constraint?: ConstraintOption;
  /** Whether training changes the values, if it does those of the layer; default `true`. */
  trainable?: boolean;
}

/** A weight that a layer of {@link defineLayer} asks for. Made by {@link weight}. */
export class WeightRequest {
  /** @internal */
  readonly shape: readonly number[];
  /** @internal */
  readonly initializer: Initializer;
  /** @internal */
  readonly trainable: boolean;
  /** @internal */
  readonly rules: WeightRuleDocuments;

  /** @internal */
  constructor(shape: readonly number[], initializer: Initializer, trainable: boolean, rules: WeightRuleDocuments) {
    this.shape = shape;
    this.initializer = initializer;
    this.trainable = trainable;
    this.rules = rules;
  }
}

/** What `build` gives: weights, and layers that `call` uses. */
export type LayerParts = Readonly<Record<string, WeightRequest | Layer>>;

/** What `call` gets of them: weights as tensors without a batch. */
export type BuiltParts<Parts> = {
  readonly [Key in keyof Parts]: Parts[Key] extends WeightRequest | undefined
    ? SymbolicTensor | Extract<Parts[Key], undefined>
    : Parts[Key];
};

/**
 * A weight of a layer of `defineLayer`, for what its `build` returns.
 *
 * @param shape - Sizes of the axes, each at least 1; none is a batch.
 * @param options - How it begins, and whether it is trained.
 * @returns What stands for the weight until the layer is called.
 * @throws OptionError if an option is unknown or out of range.
 */
export function weight(shape: readonly number[], options: WeightOptions = {}): WeightRequest {
  checkKeys("weight", options, ["initializer", "regularizer", "constraint", "trainable"]);
  const sizes = Array.isArray(shape) ? shape : [Number.NaN];
  if (sizes.length > 32 || sizes.some((size) => !Number.isSafeInteger(size) || size < 1)) {
    throw new OptionError(`weight: shape must be a list of integers of at least 1, got ${inspect(shape)}`);
  }
  return new WeightRequest(
    Object.freeze([...sizes]),
    resolveInitializer("weight", "initializer", options.initializer ?? "glorotUniform"),
    booleanOption("weight", "trainable", options.trainable ?? true),
    weightRule("weight", "regularizer", "constraint", options),
  );
}

/** @throws OptionError if a part is neither a weight nor a layer, or its name is none. */
export function checkParts(where: string, parts: unknown): [string, WeightRequest | Layer][] {
  if (typeof parts !== "object" || parts === null || Array.isArray(parts)) {
    throw new OptionError(
      `${where}: build must return an object of weights and layers, got ${inspect(parts, { depth: 0 })}`,
    );
  }
  return Object.entries(parts).map(([key, part]: [string, unknown]) => {
    if (!/^[A-Za-z_][\w-]{0,99}$/.test(key)) {
      throw new OptionError(`${where}: ${JSON.stringify(key)} cannot be the name of a weight`);
    }
    if (part instanceof WeightRequest || part instanceof Layer) return [key, part];
    throw new OptionError(`${where}: ${key} must be a weight() or a layer, got ${inspect(part, { depth: 0 })}`);
  });
}
