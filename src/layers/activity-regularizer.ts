import { OptionError } from "../errors.ts";
import { checkKeys, nameOption, numberOption } from "../options.ts";

/** A penalty `l1 sum(|x|) + l2 sum(x^2)` as documents hold it. */
export interface ActivityRegularizerDocument {
  readonly type: "l1l2";
  /** Factor of the sum of absolute values, at least 0; default 0. */
  readonly l1?: number;
  /** Factor of the sum of squares, at least 0; default 0. */
  readonly l2?: number;
}

/**
 * A penalty on what a layer gives: `"l1"` or `"l2"` with the factor 0.01, as in Keras; the factors; or an object with them as its
 * `document`. `null`: none.
 */
export type ActivityRegularizerOption =
  | "l1"
  | "l2"
  | ActivityRegularizerDocument
  | { readonly document: object }
  | null;

const names = { l1: { type: "l1l2", l1: 0.01 }, l2: { type: "l1l2", l2: 0.01 } } as const;

/** The option of a layer's document that a penalty becomes; nothing without one. */
export function activityRegularizer(
  where: string,
  value: ActivityRegularizerOption | undefined,
): { activityRegularizer?: { readonly type: "l1l2"; readonly l1: number; readonly l2: number } } {
  if (value === undefined || value === null) return {};
  if (typeof value === "string") {
    return activityRegularizer(where, names[nameOption(where, "activityRegularizer", value, ["l1", "l2"])]);
  }
  const place = `${where}: activityRegularizer`;
  const held = typeof value === "object" && "document" in value ? value.document : value;
  checkKeys(place, held, ["type", "l1", "l2"]);
  const { type, l1, l2 } = held as Partial<ActivityRegularizerDocument>;
  if (type !== "l1l2") throw new OptionError(`${place}: only l1l2 can be a penalty on what a layer gives`);
  return {
    activityRegularizer: {
      type,
      l1: numberOption(place, "l1", l1 ?? 0, 0),
      l2: numberOption(place, "l2", l2 ?? 0, 0),
    },
  };
}
