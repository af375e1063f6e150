import type { Tokenizer } from "../../data/tokenizer.ts";
import type { Decoding, GeneratedSequence, Generation } from "../../decoding/options.ts";
import { DecodingQueue } from "../../decoding/queue.ts";
import { type DecodedRow, type GenerationRequest, type ModelRequest, requestOf } from "../../decoding/request.ts";
import { decodeBatch, type Run, streamText } from "../../decoding/run.ts";
import { type CheckedScore, type ScoredTarget, scoreTargets } from "../../decoding/score.ts";
import type { Model } from "../model.ts";

/** Turns encoded prompts into tokens that follow them, for all calls of a language model. */
export class Continuer {
  readonly #model: Model;
  readonly #tokenizer: Tokenizer;
  readonly #end: number;
  readonly #queue: DecodingQueue<Int32Array, Decoding, DecodedRow[]>;

  constructor(model: Model, tokenizer: Tokenizer, end: number) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#end = end;
    this.#queue = new DecodingQueue(
      (prompts, decoding, signal, places) => decodeBatch(this.#run(prompts, decoding, signal, places)),
      // Then each prompt is read at once, whatever comes with it, and its results have the same bits.
      ({ length }) => length,
    );
  }

  /** How the native decoder reads the model. */
  request(): ModelRequest {
    const padId = this.#tokenizer.vocabulary.padding;
    return { decoderInput: 0, output: 0, beginId: this.#end, endId: [this.#end], padId, feed: "ids" };
  }

  #run(
    prompts: readonly Int32Array[],
    decoding: Decoding,
    signal: AbortSignal | undefined,
    own: readonly number[],
  ): Run {
    const places = own.map((place) => place + decoding.firstIndex);
    const request: GenerationRequest = requestOf(this.request(), decoding);
    request.prompts = prompts.map((prompt) => [...prompt]);
    if (decoding.processors.encoderNoRepeatNgramSize) request.sources = request.prompts;
    return { handle: this.#model.handle(), request, inputs: [], places, allowedTokens: decoding.allowedTokens, signal };
  }

  /** What follows texts. */
  async generate(prompts: readonly string[], decoding: Decoding): Promise<Generation[]> {
    const encoded = prompts.map((prompt) => this.#tokenizer.encode(prompt));
    const { signal, search } = decoding;
    await this.#model.build(signal === undefined ? {} : { signal });
    const rows = await this.#queue.decode(encoded, decoding);
    return rows.map((sequences, index) => {
      const [best, ...others] = sequences.map((row) => this.#shown(encoded[index]!, row, decoding));
      return search.numReturnSequences > 1 ? { ...best!, alternatives: others } : best!;
    });
  }

  /** Log-probabilities of whole texts, each after an end token and followed by one. */
  async score(texts: readonly string[], checked: CheckedScore): Promise<ScoredTarget[]> {
    const { signal } = checked;
    await this.#model.build(signal === undefined ? {} : { signal });
    const all = texts.map((text) => {
      const target = Int32Array.from([...this.#tokenizer.encode(text), this.#end]);
      return { target, length: target.length, group: 0 };
    });
    const token = (id: number) => this.#tokenizer.vocabulary.token(id);
    return scoreTargets(all, {
      ...checked,
      handle: this.#model.handle(),
      request: this.request(),
      inputs: () => [],
      token,
    });
  }

  /** What follows a text, in pieces. */
  async *stream(prompt: string, decoding: Decoding): AsyncGenerator<string, void, undefined> {
    const encoded = this.#tokenizer.encode(prompt);
    const { signal } = decoding;
    await this.#model.build(signal === undefined ? {} : { signal });
    yield* streamText(this.#run([encoded], decoding, signal, [0]), (ids) => this.#textBehind(encoded, ids));
  }

  /** Text behind that of the prompt, whose last token may decide on a space. */
  #textBehind(prompt: Int32Array, ids: Int32Array): string {
    const before = this.#tokenizer.decode(prompt);
    const whole = this.#tokenizer.decode(Int32Array.from([...prompt, ...ids]));
    return whole.startsWith(before) ? whole.slice(before.length) : this.#tokenizer.decode(ids);
  }

  #shown(
    prompt: Int32Array,
    { ids, score, logProbabilities }: DecodedRow,
    { returnLogProbabilities }: Decoding,
  ): GeneratedSequence {
    return {
      text: this.#textBehind(prompt, ids),
      tokens: Array.from(ids, (id) => this.#tokenizer.vocabulary.token(id)),
      score,
      ...(returnLogProbabilities ? { logProbabilities: Array.from(logProbabilities) } : {}),
    };
  }
}
