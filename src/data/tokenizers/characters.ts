/** Text as its characters (Unicode code points), spaces included. */

/** The code points of a text. */
export function splitCharacters(text: string): string[] {
  return [...text];
}

/** The text again. */
export function joinCharacters(tokens: readonly string[]): string {
  return tokens.join("");
}

/** Whether a token is one code point. */
export function isCharacter(token: string): boolean {
  return token.length === (token.codePointAt(0)! > 0xffff ? 2 : 1);
}
