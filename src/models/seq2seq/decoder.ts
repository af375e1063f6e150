import type { Tokenizer } from "../../data/tokenizer.ts";
import { type DecodedRow, decodedRows, type GreedyRequest } from "../../decoding/greedy.ts";
import type { Decoding, Generation } from "../../decoding/options.ts";
import { DecodingQueue } from "../../decoding/queue.ts";
import type { Model } from "../model.ts";
import { aligned } from "./alignment.ts";
import { fed } from "./batches.ts";
import type { PairEncoder } from "./pairs.ts";
import type { Roles } from "./roles.ts";

/** Turns encoded sources into tokens of the target, for all calls of a translator. */
export class Decoder {
  readonly #model: Model;
  readonly #encoder: PairEncoder;
  readonly #roles: Roles;
  readonly #queue: DecodingQueue;

  constructor(model: Model, encoder: PairEncoder, roles: Roles) {
    this.#model = model;
    this.#encoder = encoder;
    this.#roles = roles;
    const { size } = encoder.source.vocabulary;
    this.#queue = new DecodingQueue(async (sources, { maxNewTokens, recompute, outputAttentions }, signal) => {
      const { data, shape } = fed(sources, roles.sourceFeed, size);
      const request = this.request(maxNewTokens, recompute);
      const batch = { data, shape: [...shape] };
      const rows = decodedRows(await model.handle().generate(JSON.stringify(request), [batch], signal), request.endId);
      if (outputAttentions !== true) return rows;
      const sizes = { source: size, target: encoder.target.vocabulary.size };
      return aligned({ handle: model.handle(), roles, sizes, begin: request.beginId }, sources, rows, signal);
    }, !roles.masked);
  }

  /** What the native decoder is asked for. */
  request(maxNewTokens: number, recompute: boolean): GreedyRequest {
    const { decoderInput, output, feed } = this.#roles;
    const { begin, end } = this.#encoder.frame;
    const padId = this.#encoder.target.vocabulary.padding;
    return { decoderInput, output, beginId: begin, endId: [end], padId, maxNewTokens, feed, recompute };
  }

  /** Decodes sources, together with those of other calls. */
  async decode(sources: readonly Int32Array[], decoding: Decoding): Promise<DecodedRow[]> {
    const { signal } = decoding;
    await this.#model.build(signal === undefined ? {} : { signal });
    return this.#queue.decode(sources, decoding);
  }

  /** Translates; a blank text needs no decoder. */
  async generate(texts: readonly string[], decoding: Decoding): Promise<Generation[]> {
    const sources = texts.map((text) => this.#encoder.encodeSource(text));
    const filled = texts.flatMap((text, index) => (text.trim() === "" ? [] : [index]));
    const rows = await this.decode(
      filled.map((index) => sources[index]!),
      decoding,
    );
    const nothing = decoding.outputAttentions ? { attention: [] } : {};
    const results: Generation[] = texts.map(() => ({ text: "", tokens: [], score: 0, ...nothing }));
    for (const [place, index] of filled.entries()) results[index] = shown(rows[place]!, this.#encoder.target);
    return results;
  }
}

/** Ids as tokens and text. */
function shown({ ids, score, attention }: DecodedRow, target: Tokenizer): Generation {
  const tokens = Array.from(ids, (id) => target.vocabulary.token(id));
  return { text: target.decode(ids), tokens, score, ...(attention === undefined ? {} : { attention }) };
}
