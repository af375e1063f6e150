import { OptionError } from "../../errors.ts";
import { checkKeys, integerOption } from "../../options.ts";
import type { Callback } from "./callback.ts";

/** What makes text of text, such as a `Seq2Seq`. */
export interface TextGenerator {
  /** One result for each text, in their order. */
  generate(texts: readonly string[], options: { maxNewTokens?: number }): Promise<readonly { readonly text: string }[]>;
}

/** Options of {@link generationSamples}. */
export interface GenerationSamplesOptions {
  /** What is trained: a `Seq2Seq`. */
  translator: TextGenerator;
  /** The texts that are translated. */
  sources: readonly string[];
  /** How each should be translated; default: this is not shown. */
  references?: readonly string[];
  /** Epochs from one showing to the next, at least 1; default 1. */
  every?: number;
  /** Most tokens of a translation, the end token included; at least 1, default 128. */
  maxNewTokens?: number;
  /** Takes each line; default `console.log`. */
  print?: (line: string) => void;
}

/** {@link generationSamples}. */
export class GenerationSamples implements Callback {
  readonly #translator: TextGenerator;
  readonly #sources: readonly string[];
  readonly #references: readonly string[] | undefined;
  readonly #every: number;
  readonly #maxNewTokens: number;
  readonly #print: (line: string) => void;

  /** @internal */
  constructor(options: GenerationSamplesOptions) {
    const where = "generationSamples";
    checkKeys(where, options, ["translator", "sources", "references", "every", "maxNewTokens", "print"]);
    const { translator, sources, references, print = printLine } = options;
    if (typeof translator?.generate !== "function") throw new OptionError(`${where}: translator must be a Seq2Seq`);
    if (typeof print !== "function") throw new OptionError(`${where}: print must be a function`);
    this.#translator = translator;
    this.#sources = texts(where, "sources", sources);
    this.#references = references === undefined ? undefined : texts(where, "references", references);
    if (this.#references !== undefined && this.#references.length !== this.#sources.length) {
      throw new OptionError(
        `${where}: expected ${this.#sources.length} references, one for each source, got ${this.#references.length}`,
      );
    }
    this.#every = integerOption(where, "every", options.every ?? 1, 1);
    this.#maxNewTokens = integerOption(where, "maxNewTokens", options.maxNewTokens ?? 128, 1);
    this.#print = print;
  }

  /** @internal */
  async onEpochEnd(epoch: number): Promise<void> {
    if ((epoch + 1) % this.#every !== 0) return;
    const results = await this.#translator.generate(this.#sources, { maxNewTokens: this.#maxNewTokens });
    for (const [index, { text }] of results.entries()) {
      const reference = this.#references === undefined ? "" : ` (${this.#references[index]})`;
      this.#print(`${this.#sources[index]} -> ${text}${reference}`);
    }
  }
}

function texts(where: string, name: string, value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.some((text) => typeof text !== "string")) {
    throw new OptionError(`${where}: ${name} must be a list of texts`);
  }
  return [...value];
}

/** Writes a line, on a terminal in place of the progress bar, which stands there unfinished. */
function printLine(line: string): void {
  console.log(process.stdout.isTTY ? `\r\u001b[2K${line}` : line);
}

/**
 * Translates some texts after each epoch, or after every so many, and prints `source -> output (reference)`: how a model learns is
 * seen sooner in its sentences than in its loss.
 *
 * @param options - What is translated, by what, and how often.
 * @throws OptionError if an option is wrong; from `fit`, what `generate` throws.
 *
 * @example
 * ```ts
 * import { generationSamples, type Seq2Seq, type TextPair } from "sconce";
 *
 * export async function train(translator: Seq2Seq, pairs: TextPair[]) {
 *   const samples = generationSamples({ translator, sources: ["How are you?"], references: ["你好吗？"], every: 5 });
 *   await translator.fit(pairs, { epochs: 20, callbacks: [samples] });
 * }
 * ```
 */
export function generationSamples(options: GenerationSamplesOptions): GenerationSamples {
  return new GenerationSamples(options);
}
