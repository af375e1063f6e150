import { OptionError } from "../errors.ts";
import { type Environment, environment } from "../native.ts";

/** `false`: all is computed in float32; `"bfloat16"`: the factors of large products are rounded to it. */
export type MixedPrecision = false | "bfloat16";

/**
 * Checks the option `mixedPrecision`.
 *
 * @param where - Call and model, for messages.
 * @param value - As the user gave it; default `false`.
 * @param machine - What the addon found; default this machine.
 * @throws OptionError if it is neither `false` nor `"bfloat16"`, or if the processor has no instructions for it.
 */
export function checkMixedPrecision(
  where: string,
  value: unknown,
  machine?: Pick<Environment, "bfloat16" | "simd" | "simdAvailable">,
): MixedPrecision {
  if (value === undefined || value === false) return false;
  if (value !== "bfloat16") {
    throw new OptionError(`${where}: mixedPrecision must be false or "bfloat16", got ${JSON.stringify(value)}`);
  }
  const { bfloat16, simd, simdAvailable } = machine ?? environment();
  if (bfloat16) return value;
  const lacks = simd === simdAvailable.at(-1) ? "this one has not" : `SCONCE_SIMD=${simd} leaves out`;
  throw new OptionError(
    `${where}: mixedPrecision "bfloat16" needs a CPU with avx512_bf16, which ${lacks}: leave mixedPrecision out to train in float32`,
  );
}
