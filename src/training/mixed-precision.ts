import { OptionError } from "../errors.ts";
import { environment } from "../native.ts";

/**
 * Refuses lower precision: what the kernels would need, and what is there.
 *
 * @throws OptionError unless `value` is `false` or not given.
 */
export function checkMixedPrecision(where: string, value: unknown, has?: boolean): void {
  if (value === undefined || value === false) return;
  if (value !== "bfloat16") {
    throw new OptionError(`${where}: mixedPrecision must be false or "bfloat16", got ${JSON.stringify(value)}`);
  }
  const remedy = "leave mixedPrecision out to train in float32";
  if (!(has ?? environment().bfloat16)) {
    throw new OptionError(
      `${where}: mixedPrecision "bfloat16" needs a CPU with avx512_bf16, which this one has not: ${remedy}`,
    );
  }
  throw new OptionError(
    `${where}: mixedPrecision "bfloat16" is not there yet, although this CPU has avx512_bf16: ${remedy}`,
  );
}
