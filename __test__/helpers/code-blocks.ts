import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** TypeScript that stands in the documentation. */
export interface Program {
  /** The file it stands in, from the root of the repository. */
  readonly file: string;
  /** Its first line there. */
  readonly line: number;
  readonly code: string;
}

/** README.md and the pages of docs. */
export function pages(): string[] {
  return [
    "README.md",
    ...readdirSync(`${root}/docs`).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
  ];
}

export function textOf(file: string): string {
  return readFileSync(`${root}/${file}`, "utf8");
}

/** The program of a page: its `ts` blocks one after the other, at the lines where they stand. */
export function programOf(file: string): Program | undefined {
  const lines = textOf(file).split("\n");
  let inside = false;
  let line = 0;
  const code = lines.map((text, index) => {
    if (text.startsWith("```")) {
      inside = text === "```ts";
      if (inside && line === 0) line = index + 2;
      return "";
    }
    return inside ? text : "";
  });
  return line === 0 ? undefined : { file, line, code: code.join("\n") };
}

/** The examples in the doc comments of the sources, each a program of its own. */
export function examples(): Program[] {
  const names = readdirSync(`${root}/src`, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return names.flatMap((name) => {
    const source = textOf(`src/${name}`);
    return [...source.matchAll(/^ *\* @example\n *\* ```ts\n((?: *\*.*\n)*?) *\* ```$/gm)].map((match) => ({
      file: `src/${name}`,
      line: source.slice(0, match.index).split("\n").length + 2,
      code: match[1]!.replace(/^ *\* ?/gm, ""),
    }));
  });
}
