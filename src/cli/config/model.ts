import * as v from "valibot";
import { OptionError } from "../../errors.ts";
import type { TransformerSeq2SeqOptions } from "../../index.ts";
import type { Origin } from "./check.ts";
import { flag, integer, number, oneOf, rate } from "./kinds.ts";
import { isFields } from "./places.ts";

/** Tokens that a token sees, for all layers or one after the other. */
function windows() {
  const fits = (value: unknown) => value === null || (Number.isSafeInteger(value) && (value as number) >= 1);
  return v.custom<number | null | (number | null)[]>(
    (value) => fits(value) || (Array.isArray(value) && value.length > 0 && value.every(fits)),
    "an integer of at least 1, null, or a list of these",
  );
}

/** What only a model of type `transformer` has; what is left out follows from the preset, or from the library. */
export const transformerEntries = {
  preset: v.optional(oneOf(["transformer-tiny", "transformer-small", "transformer-base"])),
  dModel: v.optional(integer(1)),
  heads: v.optional(integer(1)),
  ffn: v.optional(integer(1)),
  encoderLayers: v.optional(integer(1)),
  decoderLayers: v.optional(integer(1)),
  attentionDropout: v.optional(rate()),
  activationDropout: v.optional(rate()),
  activation: v.optional(oneOf(["relu", "gelu", "geluTanh", "silu"])),
  normalizeFirst: v.optional(flag()),
  layerNormEpsilon: v.optional(number(0)),
  positions: v.optional(oneOf(["sinusoidal", "sinusoidalHalves", "learned", "rotary", "buckets", "alibi"])),
  positionBuckets: v.optional(integer(2)),
  positionMaxDistance: v.optional(integer(1)),
  slidingWindow: v.optional(windows()),
  logitSoftCap: v.optional(number(0)),
  useGate: v.optional(flag()),
  maxLength: v.optional(integer(1)),
  outputBias: v.optional(flag()),
  recompute: v.optional(flag()),
};

/** Which tables of embeddings are one: a flag for recurrent models, which tables for Transformers. */
export const tied = () =>
  v.custom<boolean | "inputs" | "target" | "all">(
    (value) => typeof value === "boolean" || ["inputs", "target", "all"].includes(value as string),
    "true or false; of a transformer false, inputs, target or all",
  );

/** What models of both types have. */
const common = ["type", "dropout", "tiedEmbeddings"];

/** Options of `Seq2Seq.transformer` as a configuration has them. */
export type TransformerConfig = { readonly type: "transformer" } & Omit<
  TransformerSeq2SeqOptions,
  "source" | "target" | "name"
>;

/** Options that were given although the type of the model has none such. */
function foreign(type: string, given: readonly string[]): string | undefined {
  const own = (key: string) =>
    common.includes(key) || Object.hasOwn(transformerEntries, key) === (type === "transformer");
  return given.find((key) => !own(key));
}

/**
 * Checks that the options of a model are those of its type.
 *
 * @param type - Its type.
 * @param said - What the configuration says of it, before defaults.
 * @param joint - Whether both sides have one tokenizer.
 * @returns The options of a Transformer; nothing of a recurrent model.
 * @throws OptionError naming the place.
 */
export function transformerOf(
  type: string,
  said: unknown,
  joint: boolean,
  origin: Origin,
): TransformerConfig | undefined {
  const given = isFields(said) ? said : {};
  const wrong = foreign(type, Object.keys(given));
  if (wrong !== undefined) {
    const other = type === "transformer" ? "recurrent" : "transformer";
    throw new OptionError(`${origin(`model.${wrong}`)} is an option of models of type ${other}, got type ${type}`);
  }
  const { tiedEmbeddings } = given;
  if (type !== "transformer") {
    if (tiedEmbeddings === undefined || typeof tiedEmbeddings === "boolean") return undefined;
    throw new OptionError(
      `${origin("model.tiedEmbeddings")}: expected true or false, got ${JSON.stringify(tiedEmbeddings)}`,
    );
  }
  if (tiedEmbeddings === true) {
    throw new OptionError(
      `${origin("model.tiedEmbeddings")}: expected false, inputs, target or all of a transformer, got true`,
    );
  }
  if (!joint && (tiedEmbeddings === "inputs" || tiedEmbeddings === "all")) {
    throw new OptionError(`${origin("model.tiedEmbeddings")} needs tokenizers.joint: true`);
  }
  return { ...given, type } as TransformerConfig;
}
