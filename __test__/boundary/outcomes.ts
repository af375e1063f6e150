import { SconceError } from "../../src/index.ts";

/** What became of a call: `undefined` if it gave a value or an error that says what was wrong, else what is wrong with it. */
export async function complaint(call: () => unknown): Promise<string | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    if (error instanceof SconceError && error.code !== "INTERNAL" && error.message !== "") return undefined;
    return error instanceof Error ? (error.stack ?? error.message) : `threw ${String(error)}`;
  }
}
