import type { Tokenizer } from "../../data/tokenizer.ts";
import { type DecodedRow, decodedRows, type GreedyRequest } from "../../decoding/greedy.ts";
import type { Decoding, Generation } from "../../decoding/options.ts";
import { DecodingQueue } from "../../decoding/queue.ts";
import type { Model } from "../model.ts";

/** Turns encoded prompts into tokens that follow them, for all calls of a language model. */
export class Continuer {
  readonly #model: Model;
  readonly #tokenizer: Tokenizer;
  readonly #end: number;
  readonly #queue: DecodingQueue;

  constructor(model: Model, tokenizer: Tokenizer, end: number) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#end = end;
    this.#queue = new DecodingQueue(async (prompts, { maxNewTokens, recompute }, signal) => {
      const request = this.request(maxNewTokens, recompute, prompts);
      return decodedRows(await model.handle().generate(JSON.stringify(request), [], signal), request.endId);
    }, false);
  }

  /** What the native decoder is asked for. */
  request(maxNewTokens: number, recompute: boolean, prompts: readonly Int32Array[]): GreedyRequest {
    return {
      decoderInput: 0,
      output: 0,
      beginId: this.#end,
      endId: [this.#end],
      padId: this.#tokenizer.vocabulary.padding,
      maxNewTokens,
      feed: "ids",
      recompute,
      prompts: prompts.map((prompt) => Array.from(prompt)),
    };
  }

  /** What follows texts. */
  async generate(prompts: readonly string[], decoding: Decoding): Promise<Generation[]> {
    const encoded = prompts.map((prompt) => this.#tokenizer.encode(prompt));
    const { signal } = decoding;
    await this.#model.build(signal === undefined ? {} : { signal });
    const rows = await this.#queue.decode(encoded, decoding);
    return rows.map((row, index) => this.#shown(encoded[index]!, row));
  }

  /** Ids as tokens, and as text behind that of the prompt, whose last token may decide on a space. */
  #shown(prompt: Int32Array, { ids, score }: DecodedRow): Generation {
    const before = this.#tokenizer.decode(prompt);
    const whole = this.#tokenizer.decode(Int32Array.from([...prompt, ...ids]));
    return {
      text: whole.startsWith(before) ? whole.slice(before.length) : this.#tokenizer.decode(ids),
      tokens: Array.from(ids, (id) => this.#tokenizer.vocabulary.token(id)),
      score,
    };
  }
}
