import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  type GeneratedSequence,
  type GenerateOptions,
  type Generation,
  input,
  layers,
  type Model,
  model,
  Seq2Seq,
  type SymbolicTensor,
  Tokenizer,
} from "../../src/index.ts";

/** One call of Hugging Face's `generate`. */
export interface GoldenCase {
  readonly source: readonly number[];
  /** What the target begins with, behind the begin token. */
  readonly prefix: readonly number[];
  readonly options: GenerateOptions & { fewer?: true };
  /** The sequences that came, with their end tokens, the best first. */
  readonly ids: readonly (readonly number[])[];
  readonly scores: readonly number[];
}

export type ModelName = "t5" | "marian" | "bart";

type Golden = Record<ModelName, Record<"greedy" | "beam", GoldenCase[]>>;

const folder = new URL("../golden/generation/", import.meta.url);

/** Written by `generation.py`. */
export const golden = JSON.parse(readFileSync(new URL("generation.json", folder), "utf8")) as Golden;

const width = 16;
const ids = () => input({ shape: [null], dtype: "int32" });

/** They have the ids from 4 on. */
export const letters: readonly string[] = [..."abcdefghijklmnop"];

/** The sum of a sequence and of what a part makes of its norm. */
function residual(x: SymbolicTensor, name: string, part: (normal: SymbolicTensor) => SymbolicTensor): SymbolicTensor {
  const normal = layers.rmsNormalization({ name: `${name}Norm`, epsilon: 1e-6 })(x);
  return layers.add()([x, part(normal)]);
}

function t5(size: number): Model {
  const [source, target] = [ids(), ids()];
  const table = layers.embedding({ name: "table", inputDim: size, outputDim: width, maskZero: true });
  const attention = (name: string) => layers.multiHeadAttention({ name, numHeads: 3, keyDim: 6, useBias: false });
  const side = (name: string, begin: SymbolicTensor, memory?: SymbolicTensor): SymbolicTensor => {
    const causal = memory !== undefined;
    const bias = layers.relativePositionBias({
      name: `${name}Bias`,
      numHeads: 3,
      buckets: 8,
      maxDistance: 12,
      bidirectional: !causal,
    })(begin);
    let x = begin;
    for (let number = 0; number < 2; number++) {
      const own = `${name}${number}`;
      x = residual(x, `${own}Self`, (h) =>
        attention(`${own}Self`)(h, h, { attentionBias: bias, useCausalMask: causal }),
      );
      if (memory !== undefined) x = residual(x, `${own}Cross`, (h) => attention(`${own}Cross`)(h, memory));
      x = residual(x, `${own}Feed`, (h) => {
        const inner = layers.dense({ name: `${own}FeedInner`, units: 24, activation: "relu", useBias: false })(h);
        return layers.dense({ name: `${own}FeedOuter`, units: width, useBias: false })(inner);
      });
    }
    return layers.rmsNormalization({ name: `${name}Norm`, epsilon: 1e-6 })(x);
  };
  const memory = side("encoder", table(source));
  const hidden = side("decoder", table(target), memory);
  const outputs = layers.dense({ name: "head", units: size, activation: "softmax", useBias: false })(hidden);
  return model({ inputs: [source, target], outputs });
}

/** Marian's and BART's models differ in positions, in a norm of the embeddings and in the activation. */
function bartLike(size: number, learned: boolean, activation: "silu" | "gelu"): Model {
  const [source, target] = [ids(), ids()];
  const table = layers.reversibleEmbedding({
    name: "table",
    inputDim: size,
    outputDim: width,
    maskZero: true,
    useBias: true,
  });
  const embedded = (side: string, tokens: SymbolicTensor): SymbolicTensor => {
    const placed = layers.positionalEncoding({
      name: `${side}Positions`,
      type: learned ? "learned" : "sinusoidal",
      interleaved: false,
      maxLength: 32,
      scale: true,
    })(table(tokens));
    return learned ? layers.layerNormalization({ name: `${side}Embedded`, epsilon: 1e-5 })(placed) : placed;
  };
  const options = { intermediateDim: 24, numHeads: 2, activation, normalizeFirst: false, layerNormEpsilon: 1e-5 };
  let memory = embedded("encoder", source);
  for (const number of [0, 1]) memory = layers.transformerEncoder({ ...options, name: `encoder${number}` })(memory);
  let hidden = embedded("decoder", target);
  for (const number of [0, 1]) {
    hidden = layers.transformerDecoder({ ...options, name: `decoder${number}` })(hidden, memory);
  }
  const outputs = layers.activation({ activation: "softmax" })(table(hidden, { reverse: true }));
  return model({ inputs: [source, target], outputs });
}

const builders: Record<ModelName, (size: number) => Model> = {
  t5,
  marian: (size) => bartLike(size, false, "silu"),
  bart: (size) => bartLike(size, true, "gelu"),
};

/** One of the models as a translator of letters, with the weights that `generation.py` wrote. */
export async function translatorOf(name: ModelName): Promise<Seq2Seq> {
  const tokenizer = await Tokenizer.train([letters.join("")], { type: "character" });
  const network = builders[name](tokenizer.vocabulary.size);
  await network.loadWeights(fileURLToPath(new URL(`${name}.safetensors`, folder)));
  return Seq2Seq.fromModel({ model: network, source: tokenizer, target: tokenizer });
}

/** Letters of ids, without an end token. */
export function textOf(ids: readonly number[]): string {
  return ids.map((id) => letters[id - 4] ?? "").join("");
}

/** The sequences of a result with their scores. */
export function sequencesOf({ alternatives = [], ...best }: Generation): GeneratedSequence[] {
  return [best, ...alternatives];
}

/** The tokens of a sequence behind those that are given, without an end token. */
export function tokensOf(
  ids: readonly number[],
  { options, prefix }: GoldenCase,
  { target }: Pick<Seq2Seq, "target">,
): string[] {
  const ends = options.eosTokenId === undefined ? [target.vocabulary.end] : [options.eosTokenId].flat();
  const inner = ends.includes(ids.at(-1)!) ? ids.slice(0, -1) : ids;
  return [...prefix, ...inner].map((id) => target.vocabulary.token(id));
}
