import { booleanOption, checkKeys, nameOption } from "../options.ts";
import { Unary, type UnaryLayer } from "./activation.ts";
import { commonOptions, type LayerOptions } from "./layer.ts";

/** Options of {@link globalAveragePooling1d} and {@link globalMaxPooling1d}. */
export interface GlobalPoolingOptions extends LayerOptions {
  /** Where the features are: `[batch, time, features]`, or `[batch, features, time]`. Default `"channelsLast"`. */
  dataFormat?: "channelsLast" | "channelsFirst";
  /** Whether time stays as an axis of size 1; default `false`. */
  keepdims?: boolean;
}

function pooling(type: string, options: GlobalPoolingOptions): UnaryLayer {
  checkKeys(type, options, [...commonOptions, "dataFormat", "keepdims"]);
  const formats = ["channelsLast", "channelsFirst"] as const;
  return new Unary({
    type,
    common: options,
    options: {
      dataFormat: nameOption(type, "dataFormat", options.dataFormat ?? "channelsLast", formats),
      keepdims: booleanOption(type, "keepdims", options.keepdims ?? false),
    },
  }) as unknown as UnaryLayer;
}

/**
 * The mean of all steps of a sequence: `[batch, time, features]` becomes `[batch, features]`. Steps that the mask leaves
 * out do not count; a sequence of which no step counts gives zeros, where Keras gives NaN. The output has no mask.
 *
 * @param options - Where the features are, and whether time stays as an axis.
 * @returns A layer for a float tensor of three axes. It throws `ShapeError` for others, and for one with a mask if
 * `dataFormat` is `"channelsFirst"`.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.GlobalAveragePooling1D`
 */
export function globalAveragePooling1d(options: GlobalPoolingOptions = {}): UnaryLayer {
  return pooling("globalAveragePooling1d", options);
}

/**
 * The maximum of all steps of a sequence, feature by feature: `[batch, time, features]` becomes `[batch, features]`. As in
 * Keras, masked steps count like others, and the output has no mask. Equal steps share the gradient. No steps give zeros.
 *
 * @param options - Where the features are, and whether time stays as an axis.
 * @returns A layer for a float tensor of three axes. It throws `ShapeError` for others.
 * @throws OptionError if an option is unknown or out of range.
 * @see `keras.layers.GlobalMaxPooling1D`
 */
export function globalMaxPooling1d(options: GlobalPoolingOptions = {}): UnaryLayer {
  return pooling("globalMaxPooling1d", options);
}
