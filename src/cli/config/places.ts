/** Objects of a configuration: anything that was read, before it is checked. */
export type Fields = Record<string, unknown>;

/** Whether something is an object with keys. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value at a path such as `model.units`. */
export function valueAt(fields: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((value, key) => (isFields(value) && Object.hasOwn(value, key) ? value[key] : undefined), fields);
}

/** A copy with another value at a path; objects on the way are made. Text there is the `type` of an object. */
export function withValue(fields: unknown, path: string, value: unknown): unknown {
  const [key = "", ...rest] = path.split(".");
  const old = isFields(fields) ? fields : typeof fields === "string" ? { type: fields } : {};
  const inner = rest.length === 0 ? value : withValue(valueAt(old, key), rest.join("."), value);
  return Object.fromEntries([...Object.entries(old).filter(([name]) => name !== key), [key, inner]]);
}

/** Every value that is no object, by its path. */
export function flattened(fields: unknown, prefix = ""): Map<string, unknown> {
  if (!isFields(fields)) return new Map([[prefix, fields]]);
  return new Map(
    Object.entries(fields).flatMap(([key, value]) => [...flattened(value, prefix === "" ? key : `${prefix}.${key}`)]),
  );
}
