import { checkKeys, integerOption, nameOption, numberOption } from "../options.ts";

/**
 * How a part `e` of each target is spread over V classes:
 * `"keras"`: each class gets `e / V`, as in Keras, PyTorch and Hugging Face;
 * `"fairseq"`: each but the right one gets `e / (V - 1)`;
 * `"joeynmt"`: each but the right one and padding gets `e / (V - 2)`. Joey NMT logs the divergence from these targets, which is less by their
 * entropy; gradients are the same.
 * In the last two the right one keeps `1 - e`.
 */
export type LabelSmoothingDefinition = "keras" | "fairseq" | "joeynmt";

/** A part of each target that is spread over the classes, and how. */
export interface LabelSmoothingOptions {
  /** The part, from 0 to 1. */
  value: number;
  /** How it is spread; default `"keras"`. */
  definition?: LabelSmoothingDefinition;
  /** The class that gets nothing with `"joeynmt"`; default 0. */
  padding?: number;
}

/** The part of each target that is spread over the classes, from 0 to 1, as in Keras or by another definition. */
export type LabelSmoothing = number | LabelSmoothingOptions;

const definitions: readonly LabelSmoothingDefinition[] = ["keras", "fairseq", "joeynmt"];

/** Fields of a loss document; without the last two the definition is Keras'. */
export interface SmoothingFields {
  readonly labelSmoothing: number;
  readonly smoothingDefinition?: LabelSmoothingDefinition;
  readonly padding?: number;
}

/** The fields for an option. */
export function smoothingFields(where: string, option: LabelSmoothing | undefined): SmoothingFields {
  if (typeof option !== "object") {
    return { labelSmoothing: numberOption(where, "labelSmoothing", option ?? 0, 0, 1) };
  }
  const own = `${where}: labelSmoothing`;
  checkKeys(own, option, ["value", "definition", "padding"]);
  const labelSmoothing = numberOption(own, "value", option.value, 0, 1);
  const definition = nameOption(own, "definition", option.definition ?? "keras", definitions);
  const padding = integerOption(own, "padding", option.padding ?? 0, 0);
  if (definition === "keras") return { labelSmoothing };
  return { labelSmoothing, smoothingDefinition: definition, ...(definition === "joeynmt" ? { padding } : {}) };
}

/** The option that fields of a document come from; they are judged with it. */
export function smoothingOption({
  labelSmoothing,
  smoothingDefinition,
  padding,
}: Readonly<Record<string, unknown>>): unknown {
  if (smoothingDefinition === undefined && padding === undefined) return labelSmoothing;
  return {
    value: labelSmoothing,
    ...(smoothingDefinition === undefined ? {} : { definition: smoothingDefinition }),
    ...(padding === undefined ? {} : { padding }),
  };
}
