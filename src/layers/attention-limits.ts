/** What an attention may do besides comparing all queries with all keys: a window, a cap of its scores, a gate behind it. */
import { OptionError } from "../errors.ts";
import type { LayerOptionsDocument } from "../graph/document.ts";
import { booleanOption, integerOption, numberOption } from "../options.ts";

/** Options of layers with attention, as a caller gives them. */
interface Limits {
  slidingWindow?: number | null;
  logitSoftCap?: number | null;
  useGate?: boolean;
}

/**
 * Window, cap and gate as options of a document, those that there are: documents of models without them stay what they were.
 *
 * @throws OptionError if one is out of range.
 */
export function limits(where: string, { slidingWindow, logitSoftCap, useGate }: Limits): LayerOptionsDocument {
  const gate = booleanOption(where, "useGate", useGate ?? false);
  return {
    ...(slidingWindow != null && { slidingWindow: integerOption(where, "slidingWindow", slidingWindow, 1) }),
    ...(logitSoftCap != null && { logitSoftCap: softCapOption(where, logitSoftCap) }),
    ...(gate && { useGate: gate }),
  };
}

/** A cap of scores. */
export function softCapOption(where: string, value: unknown): number {
  const cap = numberOption(where, "logitSoftCap", value, 0);
  if (Math.fround(cap) === 0 || !Number.isFinite(Math.fround(cap))) {
    throw new OptionError(`${where}: logitSoftCap must be above 0 and a 32-bit number, got ${cap}`);
  }
  return cap;
}
