import type { Cursor } from "../data/blocks.ts";
import { FormatError } from "../errors.ts";
import type { CallbackState } from "./callbacks/callback.ts";
import type { History } from "./history.ts";
import type { TallyState } from "./tally.ts";
import type { RunIdentity, TrainingState } from "./training-state.ts";

const format = "sconce-training";
const version = 1;

/** The text of `training.json`; the arrays of callbacks are there as lengths. */
export function encodeState(identity: RunIdentity, state: TrainingState): string {
  const callbacks = state.callbacks.map((callback) =>
    callback === null
      ? null
      : { values: callback.values, lengths: (callback.arrays ?? []).map(({ length }) => length) },
  );
  return JSON.stringify({ format, version, identity, ...state, callbacks }, special, 1);
}

/** JSON has no NaN and no infinity. */
function special(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value;
}

function revived(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("number" in value)) return value;
  return typeof value.number === "string" && Object.keys(value).length === 1 ? Number(value.number) : value;
}

/**
 * Reads `training.json`; the callbacks' arrays come out empty, with all their lengths in a row.
 *
 * @throws FormatError if anything is wrong with it.
 */
export function decodeState(
  text: string,
  path: string,
): { identity: RunIdentity; state: TrainingState; lengths: number[] } {
  const check = new Checker(path);
  let document: unknown;
  try {
    document = JSON.parse(text, revived);
  } catch (error) {
    throw check.damaged(error instanceof Error ? error.message : "it is no JSON");
  }
  const root = check.object("the document", document);
  if (root.format !== format) throw check.damaged(`format is not ${format}`);
  if (root.version !== version) {
    throw new FormatError(
      `${path} has version ${String(root.version)}, this sconce reads ${version}; finish with the other`,
    );
  }
  const callbacks = check.list("callbacks", root.callbacks).map((value) => callbackState(check, value));
  const data = check.object("data", root.data);
  const rate = root.learningRate;
  return {
    identity: identityOf(check, root.identity),
    state: {
      epoch: check.count("epoch", root.epoch),
      step: check.count("step", root.step),
      // Earlier versions did not count them.
      updates: root.updates === undefined ? 0 : check.count("updates", root.updates),
      begun: check.truth("begun", root.begun),
      data: {
        epoch: check.count("data.epoch", data.epoch),
        step: check.count("data.step", data.step),
        ...(data.cursor === undefined ? {} : { cursor: cursorOf(check, data.cursor) }),
      },
      tally: tallyOf(check, root.tally),
      history: historyOf(check, root.history),
      callbacks: callbacks.map((callback) => callback?.state ?? null),
      learningRate: rate === null ? null : check.number("learningRate", rate),
    },
    lengths: callbacks.flatMap((callback) => callback?.lengths ?? []),
  };
}

/** What a place is, only the data themselves know. */
function cursorOf(check: Checker, value: unknown): Cursor {
  const { place, skip } = check.object("data.cursor", value);
  return { place: check.object("data.cursor.place", place), skip: check.count("data.cursor.skip", skip) };
}

function callbackState(check: Checker, value: unknown): { state: CallbackState; lengths: number[] } | null {
  if (value === null) return null;
  const { values, lengths } = check.object("callback", value);
  const counts = check.list("lengths", lengths).map((length) => check.count("length", length));
  return { state: { values, arrays: counts.map(() => new Float32Array(0)) }, lengths: counts };
}

function identityOf(check: Checker, value: unknown): RunIdentity {
  const identity: Record<string, string | number | boolean | null> = {};
  for (const [name, part] of Object.entries(check.object("identity", value))) {
    if (part !== null && !["string", "number", "boolean"].includes(typeof part)) throw check.damaged("identity");
    identity[name] = part as string | number | boolean | null;
  }
  return identity;
}

function tallyOf(check: Checker, value: unknown): TallyState {
  const tally = check.object("tally", value);
  return {
    rows: check.count("tally.rows", tally.rows),
    loss: check.number("tally.loss", tally.loss),
    tokens: check.number("tally.tokens", tally.tokens),
    outputs: check.list("tally.outputs", tally.outputs).map((item) => {
      const output = check.object("tally.outputs", item);
      return {
        loss: check.number("tally.outputs.loss", output.loss),
        metrics: check.list("tally.outputs.metrics", output.metrics).map((entry) => {
          const sums = check.object("tally.outputs.metrics", entry);
          return { total: check.number("total", sums.total), count: check.number("count", sums.count) };
        }),
      };
    }),
  };
}

function historyOf(check: Checker, value: unknown): History {
  const { epoch, history } = check.object("history", value);
  const lists = Object.entries(check.object("history.history", history)).map(([name, list]) => [
    name,
    check.list(name, list).map((item) => check.number(name, item)),
  ]);
  return {
    epoch: check.list("history.epoch", epoch).map((item) => check.count("history.epoch", item)),
    history: Object.fromEntries(lists) as Record<string, number[]>,
  };
}

/** Checks parts of a document. */
class Checker {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  damaged(detail: string): FormatError {
    return new FormatError(`${this.#path} is damaged (${detail}): delete its folder to begin the training anew`);
  }

  object(name: string, value: unknown): Record<string, unknown> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.damaged(`${name} is no object`);
    return value as Record<string, unknown>;
  }

  list(name: string, value: unknown): unknown[] {
    if (!Array.isArray(value)) throw this.damaged(`${name} is no list`);
    return value;
  }

  number(name: string, value: unknown): number {
    if (typeof value !== "number") throw this.damaged(`${name} is no number`);
    return value;
  }

  count(name: string, value: unknown): number {
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw this.damaged(`${name} is no count`);
    return value as number;
  }

  truth(name: string, value: unknown): boolean {
    if (typeof value !== "boolean") throw this.damaged(`${name} is not true or false`);
    return value;
  }
}
