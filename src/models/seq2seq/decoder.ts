import type { Tokenizer } from "../../data/tokenizer.ts";
import type { Decoding, GeneratedSequence, Generation } from "../../decoding/options.ts";
import { DecodingQueue } from "../../decoding/queue.ts";
import {
  type DecodedRow,
  type EnsembleRequest,
  type GenerationRequest,
  type ModelRequest,
  requestOf,
} from "../../decoding/request.ts";
import { decodeBatch, type Run, streamText } from "../../decoding/run.ts";
import { OptionError } from "../../errors.ts";
import type { ModelHandle } from "../../native.ts";
import type { Batch } from "../../native-interface.ts";
import type { Model } from "../model.ts";
import { aligned } from "./alignment.ts";
import { fed } from "./batches.ts";
import type { PairEncoder } from "./pairs.ts";
import type { Roles } from "./roles.ts";

/** A model, its tokenizers, and how it is read. */
export interface Translating {
  readonly model: Model;
  readonly encoder: PairEncoder;
  readonly roles: Roles;
}

/** What is decoded: the ids of a source for each model, what the target begins with, and the place of its text in the call. */
interface Source {
  readonly place: number;
  readonly ids: readonly Int32Array[];
  readonly prefix: Int32Array;
  readonly length: number;
}

const none = new Int32Array();

/** Sources as a model takes them. */
function inputOf({ encoder, roles }: Pick<Translating, "encoder" | "roles">, sources: readonly Int32Array[]): Batch {
  const { data, shape } = fed(sources, roles.sourceFeed, encoder.source.vocabulary.size);
  return { data, shape: [...shape] };
}

/** Turns encoded sources into tokens of the target, for all calls of a translator, or of several that choose tokens together. */
export class Decoder {
  readonly #first: Translating;
  readonly #others: readonly Translating[];
  readonly #mean: Omit<EnsembleRequest, "others">;
  readonly #queue: DecodingQueue<Source, Decoding, DecodedRow[]>;

  /**
   * @param first - The translator.
   * @param others - Others with the same tokens of the target.
   * @param mean - What is taken of the probabilities of all.
   */
  constructor(
    first: Translating,
    others: readonly Translating[] = [],
    mean: Omit<EnsembleRequest, "others"> = { mean: "arithmetic" },
  ) {
    this.#first = first;
    this.#others = others;
    this.#mean = mean;
    this.#queue = new DecodingQueue(
      async (sources, decoding, signal) => {
        const rows = await decodeBatch(this.#run(sources, decoding, signal));
        return decoding.outputAttentions ? this.#aligned(sources, rows, signal) : rows;
      },
      // Prefixes are read at once.
      ({ prefix, ids }) => prefix.length + this.group(ids) * 2 ** 26,
    );
  }

  get #all(): readonly Translating[] {
    return [this.#first, ...this.#others];
  }

  /** How the native decoder reads the models. */
  request(): ModelRequest {
    const { encoder, roles } = this.#first;
    const { decoderInput, output, feed } = roles;
    const { begin, end } = encoder.frame;
    const others = this.#others.map((other) => {
      return { decoderInput: other.roles.decoderInput, output: other.roles.output, feed: other.roles.feed };
    });
    const ensemble = others.length === 0 ? {} : { ensemble: { ...this.#mean, others } };
    const padId = encoder.target.vocabulary.padding;
    return { decoderInput, output, beginId: begin, endId: [end], padId, feed, ...ensemble };
  }

  /** The ids of a source for each model; `first`: those of the first, if they are known. */
  source(text: string, first = this.#first.encoder.encodeSource(text)): readonly Int32Array[] {
    return [first, ...this.#others.map(({ encoder }) => encoder.encodeSource(text))];
  }

  /** Only sources with the same number come together: padding that is not masked would be read. */
  group(ids: readonly Int32Array[]): number {
    return ids[this.#all.findIndex(({ roles }) => !roles.masked)]?.length ?? 0;
  }

  /** Sources as the models take them. */
  inputs(sources: readonly (readonly Int32Array[])[]): Batch[] {
    return this.#all.map((one, place) =>
      inputOf(
        one,
        sources.map((ids) => ids[place]!),
      ),
    );
  }

  /** The native models. */
  handles(): { handle: ModelHandle; others: ModelHandle[] } {
    return { handle: this.#first.model.handle(), others: this.#others.map(({ model }) => model.handle()) };
  }

  /** Makes weights that have no values yet. */
  async build(signal: AbortSignal | undefined): Promise<void> {
    for (const { model } of this.#all) await model.build(signal === undefined ? {} : { signal });
  }

  #run(sources: readonly Source[], decoding: Decoding, signal: AbortSignal | undefined): Run {
    const places = sources.map(({ place }) => place + decoding.firstIndex);
    const request: GenerationRequest = requestOf(this.request(), decoding);
    if (sources.some(({ prefix }) => prefix.length > 0)) request.prompts = sources.map(({ prefix }) => [...prefix]);
    if (decoding.processors.encoderNoRepeatNgramSize) request.sources = sources.map(({ ids }) => [...ids[0]!]);
    const { allowedTokens } = decoding;
    const inputs = this.inputs(sources.map(({ ids }) => ids));
    return { ...this.handles(), request, inputs, places, allowedTokens, signal };
  }

  /** Rows with what they look at. */
  #aligned(
    sources: readonly Source[],
    rows: readonly DecodedRow[][],
    signal: AbortSignal | undefined,
  ): Promise<DecodedRow[][]> {
    const { encoder, model, roles } = this.#first;
    const subject = {
      handle: model.handle(),
      roles,
      size: encoder.target.vocabulary.size,
      begin: encoder.frame.begin,
      inputs: (ids: readonly Int32Array[]) => [inputOf(this.#first, ids)],
    };
    const read = sources.map(({ ids, prefix }) => ({ ids: ids[0]!, prefix }));
    return aligned(subject, read, rows, signal);
  }

  /** Decodes sources, as {@link Decoder.source} gives them, together with those of other calls: the sequences of each. */
  async decode(
    sources: readonly (readonly Int32Array[])[],
    decoding: Decoding,
    prefixes: readonly Int32Array[] = [],
    places: readonly number[] = [],
  ): Promise<DecodedRow[][]> {
    await this.build(decoding.signal);
    const all = sources.map((ids, row) => {
      return { ids, prefix: prefixes[row] ?? none, place: places[row] ?? row, length: ids[0]!.length };
    });
    return this.#queue.decode(all, decoding);
  }

  /** Translates; a blank text needs no decoder. `prefixes`: what the target of each begins with. */
  async generate(
    texts: readonly string[],
    decoding: Decoding,
    prefixes: readonly string[] = [],
  ): Promise<Generation[]> {
    if (decoding.outputAttentions && this.#others.length > 0) {
      throw new OptionError("generate: outputAttentions is of single translators, not of an ensemble");
    }
    const { target } = this.#first.encoder;
    const sources = texts.map((text) => this.source(text));
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
    const { target } = this.#first.encoder;
    const ids = this.source(text);
    if (text.trim() === "") return;
    const { signal } = decoding;
    await this.build(signal);
    const begun = target.encode(prefix);
    const run = this.#run([{ ids, prefix: begun, place: 0, length: ids[0]!.length }], decoding, signal);
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
