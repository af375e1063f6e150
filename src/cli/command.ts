/** Bad usage of the command line: exit status 2. */
export class UsageError extends Error {}

/** A failure whose message says what to do: exit status 1. */
export class CommandError extends Error {}

/** Where a command reads and writes. */
export interface Streams {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly error: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

/** A command of `sconce`. */
export interface Command {
  /** What `--help` prints. */
  readonly help: string;
  /**
   * Does the work.
   *
   * @param args - What follows the name of the command.
   * @returns The exit status.
   */
  run(args: readonly string[], streams: Streams): Promise<number>;
}

/** Writes and waits until the stream takes more. */
export async function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (!stream.write(text)) await new Promise((resolve) => stream.once("drain", resolve));
}
