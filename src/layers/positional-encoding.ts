import { OptionError } from "../errors.ts";
import type { Initializer } from "../initializers/initializer.ts";
import { type InitializerName, resolveInitializer } from "../initializers/resolve.ts";
import { booleanOption, checkKeys, integerOption, nameOption, numberOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";
import { providersOf } from "./providers.ts";
import { type EmbeddingsRules, weightRuleNames, weightRules } from "./weight-rules.ts";

const weights = ["embeddings"];

/** What stands for a position: sines and cosines, a row of a trained table, or nothing: the sequence is only multiplied. */
export type PositionType = "sinusoidal" | "learned" | "none";

/** Options of {@link positionalEncoding}. */
export interface PositionalEncodingOptions extends LayerOptions, EmbeddingsRules {
  /** Default `"sinusoidal"`. */
  type?: PositionType;
  /**
   * Whether each sine lies before its cosine, as in "Attention is all you need"; otherwise all sines lie before all cosines, as
   * in Marian. Default `true`; `"learned"` has no such order.
   */
  interleaved?: boolean;
  /** The longest wave, divided by 2 pi; at least 1, default 10000. */
  maxWavelength?: number;
  /** Most steps of a sequence, at least 1: rows of a learned table, which needs it. Default `null`: no limit. */
  maxLength?: number | null;
  /** What the sequence is multiplied by first: `true` is the root of its features, as for embeddings; default `false`. */
  scale?: boolean | number;
  /** How a learned table begins; default `"uniform"`, between -0.05 and 0.05. */
  embeddingsInitializer?: InitializerName | Initializer;
}

/**
 * Adds to each step of a sequence what stands for its position, counted from 0. It passes on the mask of its input, and
 * masked steps are counted like others. A translator that writes token by token goes on counting.
 *
 * With `a = p / maxWavelength^(2 i / features)`, position `p` has the features `sin(a)` and `cos(a)` for each `i`.
 *
 * @param options - What stands for a position, and how many there are.
 * @returns A layer from `[batch, time, features]` to the same; `"learned"` has the weight `embeddings [maxLength, features]`.
 * It throws `ShapeError` for other shapes. A batch with longer sequences is a `DataError`.
 * @throws OptionError if an option is unknown or out of range, or a learned table has no `maxLength`.
 * @see `keras_hub.layers.SinePositionEncoding` and `keras_hub.layers.PositionEmbedding`
 */
export function positionalEncoding(options: PositionalEncodingOptions = {}): UnaryLayer {
  const where = "positionalEncoding";
  checkKeys(where, options, [
    ...commonOptions,
    "type",
    "interleaved",
    "maxWavelength",
    "maxLength",
    "scale",
    "embeddingsInitializer",
    ...weightRuleNames(weights),
  ]);
  const type = nameOption(where, "type", options.type ?? "sinusoidal", ["sinusoidal", "learned", "none"]);
  const limit = options.maxLength ?? null;
  const maxLength = limit === null ? null : integerOption(where, "maxLength", limit, 1);
  if (type === "learned" && maxLength === null) {
    throw new OptionError(`${where}: type "learned" needs maxLength, the rows of its table`);
  }
  const embeddings = resolveInitializer(where, "embeddingsInitializer", options.embeddingsInitializer ?? "uniform");
  const scale = options.scale ?? false;
  return new Unary({
    type: where,
    common: options,
    options: {
      type,
      interleaved: booleanOption(where, "interleaved", options.interleaved ?? true),
      maxWavelength: numberOption(where, "maxWavelength", options.maxWavelength ?? 10_000, 1),
      maxLength,
      scale: typeof scale === "boolean" ? scale : numberOption(where, "scale", scale),
      embeddingsInitializer: embeddings.document,
      ...weightRules(where, options, weights),
    },
    providers: type === "learned" ? providersOf({ embeddings }) : {},
  }) as unknown as UnaryLayer;
}
