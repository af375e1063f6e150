/** What kind of mistake or failure a {@link SconceError} reports. */
export type ErrorCode =
  | "SHAPE"
  | "OPTION"
  | "DATA"
  | "FILE"
  | "FORMAT"
  | "STATE"
  | "LIMIT"
  | "GRAPH"
  | "NAN"
  | "INTERNAL"
  | "CANCELLED";

/** Base of all errors that sconce throws or rejects with (an aborted call rejects with its signal's reason instead). */
export class SconceError extends Error {
  /** What kind of error it is; stable across versions, unlike the message. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.name = new.target.name;
  }
}

/** Shapes of tensors, weights or data do not fit; the message names the layer, what it expected and what it got. */
export class ShapeError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("SHAPE", message, options);
  }
}

/** An option is unknown, of the wrong type or out of range. */
export class OptionError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("OPTION", message, options);
  }
}

/** Data are ragged, empty, not finite, or hold an id out of range; the message names the row. */
export class DataError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("DATA", message, options);
  }
}

/** A file or folder cannot be read or written; the message names the path. */
export class FileError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("FILE", message, options);
  }
}

/** A file was read but its content is damaged, hostile or of an unknown version. */
export class FormatError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("FORMAT", message, options);
  }
}

/** A call does not fit the state of its object: not compiled, not built, disposed, already training. */
export class StateError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("STATE", message, options);
  }
}

/** The work needs more memory than the budget allows. */
export class LimitError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("LIMIT", message, options);
  }
}

/** Layers do not form a model: an input is missing, two layers share a name, a decoder is not causal. */
export class GraphError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("GRAPH", message, options);
  }
}

/** The loss is not a number. */
export class NaNLossError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("NAN", message, options);
  }
}

/** An error of sconce itself: please report it. */
export class InternalError extends SconceError {
  constructor(message: string, options?: ErrorOptions) {
    super("INTERNAL", message, options);
  }
}

const classes: Record<Exclude<ErrorCode, "CANCELLED">, new (message: string, options?: ErrorOptions) => SconceError> = {
  SHAPE: ShapeError,
  OPTION: OptionError,
  DATA: DataError,
  FILE: FileError,
  FORMAT: FormatError,
  STATE: StateError,
  LIMIT: LimitError,
  GRAPH: GraphError,
  NAN: NaNLossError,
  INTERNAL: InternalError,
};

function hasCode(code: unknown): code is keyof typeof classes {
  return typeof code === "string" && Object.hasOwn(classes, code);
}

/**
 * The typed error for one that the native addon threw; its `code` decides the class.
 *
 * @internal
 */
export function fromNative(error: unknown): SconceError {
  if (error instanceof SconceError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (hasCode(code)) return new classes[code](message, { cause: error });
  if (code === "CANCELLED") return new SconceError("CANCELLED", message, { cause: error });
  return new InternalError(message, { cause: error });
}

/**
 * The typed error for one of a call of `node:fs`.
 *
 * @internal
 */
export function fromFile(action: string, path: string, error: unknown): SconceError {
  if (error instanceof SconceError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new FileError(`${action} ${path}: ${reason}`, { cause: error });
}
