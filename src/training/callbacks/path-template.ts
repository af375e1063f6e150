import { OptionError } from "../../errors.ts";
import type { Logs } from "../history.ts";
import { monitorName } from "../names.ts";

/**
 * A path with values filled in: `{epoch}`, `{batch}` (both counted from 1) or the name of a logged value, with an optional
 * format as in Python: `{epoch:02d}` or `{valLoss:.2f}`.
 *
 * @throws OptionError if there is no such value or format.
 */
export function filledPath(where: string, template: string, values: Logs): string {
  return template.replaceAll(/\{([^{}:]+)(?::([^{}]*))?\}/g, (whole, name: string, format = "") => {
    const key = monitorName(name);
    const value = Object.hasOwn(values, key) ? values[key] : undefined;
    if (value === undefined) {
      throw new OptionError(`${where}: ${whole} in path is not logged; there are ${Object.keys(values).join(", ")}`);
    }
    const parts = /^(0?)(\d*)(?:\.(\d{1,2}))?([dfe]?)$/.exec(format);
    if (parts === null)
      throw new OptionError(`${where}: unknown format in ${whole}; use such as {epoch:02d} or {loss:.3f}`);
    const [, zero, width, digits, kind] = parts;
    return formatted(value, kind!, digits).padStart(Number(width), zero === "0" ? "0" : " ");
  });
}

function formatted(value: number, kind: string, digits: string | undefined): string {
  if (kind === "d") return String(Math.trunc(value));
  if (kind === "e") return value.toExponential(Number(digits ?? 6));
  return kind === "f" || digits !== undefined ? value.toFixed(Number(digits ?? 6)) : String(value);
}
