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

/**
 * The programs of a page, each at the lines where it stands: `ts` blocks one after the other. A block that begins with imports under
 * another heading of the second level begins another program.
 */
export function programsOf(file: string): Program[] {
  const lines = textOf(file).split("\n");
  const programs: { line: number; code: string[] }[] = [];
  let inside = false;
  let heading = true;
  for (const [index, text] of lines.entries()) {
    if (text.startsWith("## ")) heading = true;
    if (text.startsWith("```")) {
      inside = text === "```ts";
      if (inside && heading && (programs.length === 0 || lines[index + 1]!.startsWith("import "))) {
        programs.push({ line: index + 2, code: lines.map(() => "") });
      }
      if (inside) heading = false;
    } else if (inside) {
      programs.at(-1)!.code[index] = text;
    }
  }
  return programs.map(({ line, code }) => ({ file, line, code: code.join("\n") }));
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
