import { OptionError } from "../errors.ts";
import { integerOption } from "../options.ts";

/** An option that names one axis or several, negative ones counted from the end, never the batch; as a list. */
export function axesOption(where: string, value: number | readonly number[], name = "axis"): readonly number[] {
  const axes: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (axes.length === 0 || axes.length > 32)
    throw new OptionError(`${where}: ${name} must name 1 to 32 axes, got ${axes.length}`);
  return axes.map((axis) => {
    const checked = integerOption(where, name, axis, -32);
    if (checked === 0 || checked > 32) {
      throw new OptionError(
        `${where}: ${name} must be from 1 to 32 or from -32 to -1 (0 is the batch), got ${checked}`,
      );
    }
    return checked;
  });
}
