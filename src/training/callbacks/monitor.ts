import { OptionError } from "../../errors.ts";
import { nameOption } from "../../options.ts";
import type { Logs } from "../history.ts";
import { monitorName } from "../names.ts";

/** Which direction of a value is better. */
export type MonitorMode = "auto" | "min" | "max";

/** Watches one of the logged values for its best. */
export class Monitor {
  /** Name of the value. */
  readonly name: string;
  /** The best value so far, or the threshold that the first must beat. */
  best: number | null;
  readonly #where: string;
  readonly #sign: 1 | -1;
  readonly #minDelta: number;
  #names: readonly string[] = [];

  /**
   * @param where - Name of the callback, for messages.
   * @param name - The value, also as in Keras (`val_loss`).
   * @param mode - Which direction is better; `"auto"` goes by the name.
   * @param minDelta - Change that counts as improvement.
   * @param best - Threshold that the first value must beat.
   */
  constructor(where: string, name: unknown, mode: unknown, minDelta = 0, best: number | null = null) {
    if (typeof name !== "string" || name === "") {
      throw new OptionError(`${where}: monitor must be the name of a logged value, such as "valLoss"`);
    }
    this.name = monitorName(name);
    this.best = best;
    this.#where = where;
    this.#sign = direction(where, this.name, nameOption(where, "mode", mode, ["auto", "min", "max"]));
    this.#minDelta = Math.abs(minDelta);
  }

  /** @param names - The values that the run logs itself. */
  begin(names: readonly string[]): void {
    this.#names = names;
  }

  /** The value, or `undefined` in an epoch that was not validated. */
  read(logs: Logs): number | undefined {
    const value = Object.hasOwn(logs, this.name) ? logs[this.name] : undefined;
    if (value === undefined && !this.#names.includes(this.name)) {
      const known = [...new Set([...this.#names, ...Object.keys(logs)])].join(", ");
      throw new OptionError(`${this.#where}: monitor ${JSON.stringify(this.name)} is not logged; there are ${known}`);
    }
    return value;
  }

  /** Whether a value is better than another by more than the least change. */
  improves(value: number, reference: number | null): boolean {
    if (reference === null) return true;
    return this.#sign === 1 ? value - this.#minDelta > reference : value + this.#minDelta < reference;
  }
}

function direction(where: string, name: string, mode: MonitorMode): 1 | -1 {
  if (mode !== "auto") return mode === "max" ? 1 : -1;
  const lower = name.toLowerCase();
  if (/(loss|perplexity|^ter|^valter)$/.test(lower)) return -1;
  if (/(accuracy|bleu|chrf|chrf\+\+|rouge.|rougelsum|f1|exactmatch)$/.test(lower)) return 1;
  throw new OptionError(
    `${where}: cannot tell whether ${JSON.stringify(name)} should rise or fall; set mode to "min" or "max"`,
  );
}
