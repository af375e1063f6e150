import type { Tokenizer } from "../../data/tokenizer.ts";
import type { Decoding, GeneratedSequence, Generation } from "../../decoding/options.ts";
import { DecodingQueue } from "../../decoding/queue.ts";
import { type DecodedRow, type GenerationRequest, type ModelRequest, requestOf } from "../../decoding/request.ts";
import { decodeBatch, type Run, streamText } from "../../decoding/run.ts";
import type { Batch } from "../../native-interface.ts";
import type { Model } from "../model.ts";
import { aligned } from "./alignment.ts";
import { fed } from "./batches.ts";
import type { PairEncoder } from "./pairs.ts";
import type { Roles } from "./roles.ts";

/** What is decoded: the ids of a source, what the target begins with, and the place of its text in the call. */
interface Source {
  readonly place: number;
  readonly ids: Int32Array;
  readonly prefix: Int32Array;
  readonly length: number;
}

const none = new Int32Array();

/**
 * Steps that sources are padded to at least. Attention of fewer queries takes another way, which rounds otherwise: what a text
 * gives would depend on whether it comes with longer ones.
 */
const shortestSource = 5;

/** Turns encoded sources into tokens of the target, for all calls of a translator. */
export class Decoder {
  readonly #model: Model;
  readonly #encoder: PairEncoder;
  readonly #roles: Roles;
  readonly #queue: DecodingQueue<Source, Decoding, DecodedRow[]>;

  constructor(model: Model, encoder: PairEncoder, roles: Roles) {
    this.#model = model;
    this.#encoder = encoder;
    this.#roles = roles;
    this.#queue = new DecodingQueue(
      async (sources, decoding, signal) => {
        const rows = await decodeBatch(this.#run(sources, decoding, signal));
        return decoding.outputAttentions ? this.#aligned(sources, rows, signal) : rows;
      },
      // Prefixes are read at once. Padding that is not masked would be read.
      ({ prefix, ids }) => prefix.length + (roles.masked ? 0 : ids.length * 2 ** 26),
    );
  }

  /** How the native decoder reads the model. */
  request(): ModelRequest {
    const { decoderInput, output, feed } = this.#roles;
    const { begin, end } = this.#encoder.frame;
    return { decoderInput, output, beginId: begin, endId: [end], padId: this.#encoder.target.vocabulary.padding, feed };
  }

  /** Sources as the model takes them. */
  inputs(sources: readonly Int32Array[]): Batch[] {
    const { sourceFeed, masked, encoderInput } = this.#roles;
    const { size } = this.#encoder.source.vocabulary;
    const isFree = masked && typeof this.#model.inputSpecifications[encoderInput]!.shape[1] === "string";
    const { data, shape } = fed(sources, sourceFeed, size, isFree ? shortestSource : 0);
    return [{ data, shape: [...shape] }];
  }

  #run(sources: readonly Source[], decoding: Decoding, signal: AbortSignal | undefined): Run {
    const places = sources.map(({ place }) => place + decoding.firstIndex);
    const request: GenerationRequest = requestOf(this.request(), decoding);
    if (sources.some(({ prefix }) => prefix.length > 0)) request.prompts = sources.map(({ prefix }) => [...prefix]);
    if (decoding.processors.encoderNoRepeatNgramSize) request.sources = sources.map(({ ids }) => [...ids]);
    const { allowedTokens } = decoding;
    const inputs = this.inputs(sources.map(({ ids }) => ids));
    return { handle: this.#model.handle(), request, inputs, places, allowedTokens, signal };
  }

  /** Rows with what they look at. */
  #aligned(
    sources: readonly Source[],
    rows: readonly DecodedRow[][],
    signal: AbortSignal | undefined,
  ): Promise<DecodedRow[][]> {
    const subject = {
      handle: this.#model.handle(),
      roles: this.#roles,
      size: this.#encoder.target.vocabulary.size,
      begin: this.#encoder.frame.begin,
      inputs: (ids: readonly Int32Array[]) => this.inputs(ids),
    };
    return aligned(subject, sources, rows, signal);
  }

  /** Decodes sources, together with those of other calls: the sequences of each. */
  async decode(
    sources: readonly Int32Array[],
    decoding: Decoding,
    prefixes: readonly Int32Array[] = [],
    places: readonly number[] = [],
  ): Promise<DecodedRow[][]> {
    const { signal } = decoding;
    await this.#model.build(signal === undefined ? {} : { signal });
    const all = sources.map((ids, row) => {
      return { ids, prefix: prefixes[row] ?? none, place: places[row] ?? row, length: ids.length };
    });
    return this.#queue.decode(all, decoding);
  }

  /** Translates; a blank text needs no decoder. `prefixes`: what the target of each begins with. */
  async generate(
    texts: readonly string[],
    decoding: Decoding,
    prefixes: readonly string[] = [],
  ): Promise<Generation[]> {
    const { target } = this.#encoder;
    const sources = texts.map((text) => this.#encoder.encodeSource(text));
    const begun = prefixes.map((prefix) => target.encode(prefix));
    const filled = texts.flatMap((text, index) => (text.trim() === "" ? [] : [index]));
    const rows = await this.decode(
      filled.map((index) => sources[index]!),
      decoding,
      filled.map((index) => begun[index] ?? none),
      filled,
    );
    const empty = {
      ...(decoding.returnLogProbabilities ? { logProbabilities: [] } : {}),
      ...(decoding.outputAttentions ? { attention: [] } : {}),
    };
    const results: Generation[] = texts.map(() => ({ text: "", tokens: [], score: 0, ...empty }));
    for (const [place, index] of filled.entries()) {
      const prefix = begun[index] ?? none;
      const [best, ...others] = rows[place]!.map((row) => shown(row, prefix, target, decoding));
      results[index] = decoding.search.numReturnSequences > 1 ? { ...best!, alternatives: others } : best!;
    }
    return results;
  }

  /** Translates a text in pieces. */
  async *stream(text: string, decoding: Decoding, prefix: string): AsyncGenerator<string, void, undefined> {
    const { target } = this.#encoder;
    const ids = this.#encoder.encodeSource(text);
    if (text.trim() === "") return;
    const { signal } = decoding;
    await this.#model.build(signal === undefined ? {} : { signal });
    const begun = target.encode(prefix);
    const run = this.#run([{ ids, prefix: begun, place: 0, length: ids.length }], decoding, signal);
    yield* streamText(run, (made) => target.decode(joined(begun, made)));
  }
}

function joined(prefix: Int32Array, ids: Int32Array): Int32Array {
  return prefix.length === 0 ? ids : Int32Array.from([...prefix, ...ids]);
}

/** Ids as tokens and text, both with what the target begins with. */
function shown(
  { ids, score, logProbabilities, attention }: DecodedRow,
  prefix: Int32Array,
  target: Tokenizer,
  { returnLogProbabilities }: Decoding,
): GeneratedSequence {
  const all = joined(prefix, ids);
  return {
    text: target.decode(all),
    tokens: Array.from(all, (id) => target.vocabulary.token(id)),
    score,
    ...(returnLogProbabilities ? { logProbabilities: Array.from(logProbabilities) } : {}),
    ...(attention === undefined ? {} : { attention }),
  };
}
