import { readLines } from "../data/readers/lines.ts";
import { DataError } from "../errors.ts";

/** The lines of a file, or of standard input for `-`, as they arrive. */
export async function* linesOf(
  path: string,
  input: NodeJS.ReadableStream,
  signal?: AbortSignal,
): AsyncGenerator<string[]> {
  if (path !== "-") {
    for await (const lines of readLines(path, signal)) yield lines.map(({ text }) => text);
    return;
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  let number = 1;
  const decode = (chunk?: Uint8Array): string => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch (error) {
      throw new DataError(`standard input after line ${number - 1} is not valid UTF-8`, { cause: error });
    }
  };
  for await (const chunk of input) {
    const lines = (rest + decode(chunk as unknown as Uint8Array)).split("\n");
    rest = lines.pop()!;
    number += lines.length;
    if (lines.length > 0) yield lines.map(withoutReturn);
  }
  rest += decode();
  if (rest !== "") yield [withoutReturn(rest)];
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
