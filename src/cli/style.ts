/** Where text is written, as far as its looks depend on it. */
export interface Screen {
  readonly isTTY?: boolean;
}

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39] } as const;

/** A look of text on a terminal. */
export type Look = keyof typeof codes;

/** Whether text may have colours: on a terminal, unless `NO_COLOR` is set or the terminal is a simple one. */
export function hasColours({ isTTY }: Screen, environment: NodeJS.ProcessEnv = process.env): boolean {
  return isTTY === true && !environment.NO_COLOR && environment.TERM !== "dumb";
}

/** Text in a look where the screen has it, else as it is. */
export function styled(screen: Screen, look: Look, text: string, environment?: NodeJS.ProcessEnv): string {
  if (!hasColours(screen, environment)) return text;
  const [on, off] = codes[look];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}
