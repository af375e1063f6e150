import { NdArray } from "../data/ndarray.ts";
import { OptionError, ShapeError } from "../errors.ts";
import { checkKeys, integerOption, nameOption, numberOption } from "../options.ts";
import { Initializer } from "./initializer.ts";

/** Options of initialisers that draw random numbers. */
export interface SeededOptions {
  /** An integer from 0 to 2^53 - 1; default drawn from the seed of `build`, the layer and the weight. */
  seed?: number;
}

/** Options of {@link constant}. */
export interface ConstantOptions {
  /** The value of all elements, or the values themselves in the shape of the weight; default 0. */
  value?: number | NdArray<Float32Array>;
}

/** Options of {@link randomUniform}. */
export interface RandomUniformOptions extends SeededOptions {
  /** Lower end, default -0.05. */
  minval?: number;
  /** Upper end, default 0.05. */
  maxval?: number;
}

/** Options of {@link randomNormal} and {@link truncatedNormal}. */
export interface RandomNormalOptions extends SeededOptions {
  /** Default 0. */
  mean?: number;
  /** Standard deviation, default 0.05. */
  stddev?: number;
}

/** Options of {@link varianceScaling}. */
export interface VarianceScalingOptions extends SeededOptions {
  /** Factor of the variance, above 0; default 1. */
  scale?: number;
  /** What the variance is divided by: inputs, outputs, or their mean; default `"fanIn"`. */
  mode?: "fanIn" | "fanOut" | "fanAvg";
  /** Default `"truncatedNormal"`. */
  distribution?: "truncatedNormal" | "untruncatedNormal" | "uniform";
}

/** Options of {@link orthogonal}. */
export interface OrthogonalOptions extends SeededOptions {
  /** Factor of the matrix, default 1. */
  gain?: number;
}

/** Options of {@link identity}. */
export interface IdentityOptions {
  /** Value on the diagonal, default 1. */
  gain?: number;
}

function rule(type: string, options: object, defaults: Readonly<Record<string, number>>, seeded: boolean): Initializer {
  const known = Object.keys(defaults);
  checkKeys(type, options, seeded ? [...known, "seed"] : known);
  const given = options as Readonly<Record<string, unknown>>;
  const document: Record<string, string | number> = { type };
  for (const name of known) document[name] = numberOption(type, name, given[name] ?? defaults[name]);
  if (given.seed !== undefined) document.seed = integerOption(type, "seed", given.seed, 0);
  return new Initializer(document);
}

/** All 0. */
export function zeros(): Initializer {
  return new Initializer({ type: "zeros" });
}

/** All 1. */
export function ones(): Initializer {
  return new Initializer({ type: "ones" });
}

/**
 * One value everywhere, or values of the caller, such as a matrix of word vectors.
 *
 * @param options - The value.
 */
export function constant(options: ConstantOptions = {}): Initializer {
  const { value } = options;
  if (!(value instanceof NdArray)) return rule("constant", options, { value: 0 }, false);
  checkKeys("constant", options, ["value"]);
  if (!(value.data instanceof Float32Array)) throw new OptionError("constant: value must be of dtype float32");
  const copy = value.data.slice();
  return new Initializer({ type: "provided" }, async ({ layer, shape }) => {
    if (shape.join() === value.shape.join()) return copy;
    throw new ShapeError(
      `layer ${layer}: the constant values have shape [${value.shape.join(", ")}], the weight [${shape.join(", ")}]`,
    );
  });
}

/** Uniform between two values. @param options - Range and seed. */
export function randomUniform(options: RandomUniformOptions = {}): Initializer {
  return rule("randomUniform", options, { minval: -0.05, maxval: 0.05 }, true);
}

/** A normal distribution. @param options - Mean, standard deviation and seed. */
export function randomNormal(options: RandomNormalOptions = {}): Initializer {
  return rule("randomNormal", options, { mean: 0, stddev: 0.05 }, true);
}

/** A normal distribution without values beyond two standard deviations. @param options - Mean, standard deviation and seed. */
export function truncatedNormal(options: RandomNormalOptions = {}): Initializer {
  return rule("truncatedNormal", options, { mean: 0, stddev: 0.05 }, true);
}

/**
 * Uniform within `±sqrt(6 / (fanIn + fanOut))`.
 *
 * @param options - Seed.
 * @see Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010).
 */
export function glorotUniform(options: SeededOptions = {}): Initializer {
  return rule("glorotUniform", options, {}, true);
}

/** A truncated normal distribution of variance `2 / (fanIn + fanOut)`. @param options - Seed. */
export function glorotNormal(options: SeededOptions = {}): Initializer {
  return rule("glorotNormal", options, {}, true);
}

/** Uniform within `±sqrt(6 / fanIn)`. @param options - Seed. */
export function heUniform(options: SeededOptions = {}): Initializer {
  return rule("heUniform", options, {}, true);
}

/** A truncated normal distribution of variance `2 / fanIn`. @param options - Seed. */
export function heNormal(options: SeededOptions = {}): Initializer {
  return rule("heNormal", options, {}, true);
}

/** Uniform within `±sqrt(3 / fanIn)`. @param options - Seed. */
export function lecunUniform(options: SeededOptions = {}): Initializer {
  return rule("lecunUniform", options, {}, true);
}

/** A truncated normal distribution of variance `1 / fanIn`. @param options - Seed. */
export function lecunNormal(options: SeededOptions = {}): Initializer {
  return rule("lecunNormal", options, {}, true);
}

/** A distribution whose variance is `scale` divided by the number of inputs, outputs, or their mean. @param options - All optional. */
export function varianceScaling(options: VarianceScalingOptions = {}): Initializer {
  const { mode, distribution, ...numbers } = options;
  const base = rule("varianceScaling", numbers, { scale: 1 }, true);
  return new Initializer({
    ...base.document,
    mode: nameOption("varianceScaling", "mode", mode ?? "fanIn", ["fanIn", "fanOut", "fanAvg"]),
    distribution: nameOption("varianceScaling", "distribution", distribution ?? "truncatedNormal", [
      "truncatedNormal",
      "untruncatedNormal",
      "uniform",
    ]),
  });
}

/** A random matrix with orthogonal rows or columns. @param options - Gain and seed. */
export function orthogonal(options: OrthogonalOptions = {}): Initializer {
  return rule("orthogonal", options, { gain: 1 }, true);
}

/** A diagonal matrix. @param options - Gain. */
export function identity(options: IdentityOptions = {}): Initializer {
  return rule("identity", options, { gain: 1 }, false);
}
