import * as v from "valibot";
import { OptionError } from "../../errors.ts";
import { suggestion } from "../../suggestion.ts";

/** Where a value of a configuration came from: `config.yaml: model.units`, or `--units`. */
export type Origin = (path: string) => string;

/** A value as a message shows it, short. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "bigint" || typeof value === "function" || typeof value === "symbol") return typeof value;
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) return typeof value;
  return json.length > 60 ? `${json.slice(0, 57)}...` : json;
}

/**
 * Checks a value against a schema.
 *
 * @throws OptionError with the first mistake in one line: where, what was expected, what came, and what was probably meant.
 */
export function checkAgainst<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  origin: Origin,
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue, ...more] = result.issues as [v.BaseIssue<unknown>, ...v.BaseIssue<unknown>[]];
  const others = more.length === 0 ? "" : `; and ${more.length} more ${more.length === 1 ? "mistake" : "mistakes"}`;
  throw new OptionError(`${message(schema, issue, origin)}${others}`);
}

function message(schema: v.GenericSchema, issue: v.BaseIssue<unknown>, origin: Origin): string {
  const keys = (issue.path ?? []).map(({ key }) => String(key));
  const where = origin(keys.join("."));
  const inner = innermost(issue);
  if (inner !== issue) return message(schema, inner, origin);
  if (issue.type === "strict_object" && issue.expected === "never") {
    const known = keysAt(schema, keys.slice(0, -1));
    const near = suggestion(keys.at(-1), known);
    return `${where} is unknown${near === "" ? `; known are ${known.join(", ")}` : near}`;
  }
  if (issue.received === "undefined") return `${where} is missing`;
  const expected = issue.type.endsWith("_object") ? "an object with options" : issue.message;
  const names = issue.type === "picklist" ? issue.message.replace(/^one of /, "").split(", ") : [];
  return `${where}: expected ${expected}, got ${shown(issue.input)}${suggestion(issue.input, names)}`;
}

/** In a union the mistake of the form that was probably meant: the one that got furthest. */
function innermost(issue: v.BaseIssue<unknown>): v.BaseIssue<unknown> {
  if (issue.type !== "union" || issue.issues === undefined) return issue;
  const deep = issue.issues.filter(({ path }) => (path?.length ?? 0) > 0);
  const [first] = deep;
  if (first === undefined) return issue;
  return { ...first, path: [...(issue.path ?? []), ...(first.path ?? [])] } as v.BaseIssue<unknown>;
}

/** The keys that may stand at a place. */
function keysAt(schema: unknown, path: readonly string[]): string[] {
  const { entries, wrapped } = schema as { entries?: Record<string, unknown>; wrapped?: unknown };
  if (wrapped !== undefined) return keysAt(wrapped, path);
  const [key, ...rest] = path;
  if (key === undefined) return Object.keys(entries ?? {});
  return keysAt(entries?.[key] ?? {}, rest);
}
