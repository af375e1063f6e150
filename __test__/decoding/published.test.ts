import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { input, layers, type Model, model, ndarray, Seq2Seq, type SymbolicTensor, Tokenizer } from "../../src/index.ts";

/** The transliteration model of CTranslate2's tests, which is not in the repository. */
const folder = join(process.env.SCONCE_DATA ?? "", "conformance", "aren-transliteration");
const isThere = process.env.SCONCE_DATA !== undefined && existsSync(folder);

interface Expected {
  translate: {
    source: string[];
    output: string[];
    target_prefix?: string[];
    suppress_sequences?: string[][];
    replace_unknowns?: boolean;
    end_token?: string;
  }[];
  score: { source: string[]; target: string[]; token_logprobs_incl_eos: number[] }[];
}

const [width, heads, depth] = [32, 8, 6];
const timescale = Math.log(10_000) / (width / 2 - 1);

/** Sines, then cosines, of places that are counted from 1. */
function positions(): Float32Array {
  const table = new Float32Array(64 * width);
  for (let place = 0; place < 64; place++) {
    for (let pair = 0; pair < width / 2; pair++) {
      const angle = (place + 1) * Math.exp(-pair * timescale);
      table[place * width + pair] = Math.sin(angle);
      table[place * width + width / 2 + pair] = Math.cos(angle);
    }
  }
  return table;
}

function network(sizes: { source: number; target: number }): Model {
  const embedded = (side: string, size: number, ids: SymbolicTensor) => {
    const table = layers.embedding({ name: `${side}Embeddings`, inputDim: size, outputDim: width, maskZero: true });
    const options = { name: `${side}Positions`, type: "learned", maxLength: 64, scale: true } as const;
    return layers.positionalEncoding(options)(table(ids));
  };
  const options = { intermediateDim: 128, numHeads: heads, normalizeFirst: true, layerNormEpsilon: 1e-6 };
  const [source, target] = [input({ shape: [null], dtype: "int32" }), input({ shape: [null], dtype: "int32" })];
  let memory = embedded("encoder", sizes.source, source);
  for (let number = 0; number < depth; number++) {
    memory = layers.transformerEncoder({ ...options, name: `encoder${number}` })(memory);
  }
  memory = layers.layerNormalization({ name: "encoderNorm", epsilon: 1e-6 })(memory);
  let hidden = embedded("decoder", sizes.target, target);
  for (let number = 0; number < depth; number++) {
    hidden = layers.transformerDecoder({ ...options, name: `decoder${number}` })(hidden, memory);
  }
  hidden = layers.layerNormalization({ name: "decoderNorm", epsilon: 1e-6 })(hidden);
  const outputs = layers.dense({ name: "head", units: sizes.target, activation: "softmax" })(hidden);
  return model({ inputs: [source, target], outputs });
}

interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

function readTensors(path: string): Map<string, Tensor> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  delete header.__metadata__;
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          shape,
          data_offsets: [start, end],
        },
      ]) => {
        const own = new Uint8Array(bytes.subarray(8 + length + start, 8 + length + end));
        return [name, { shape, data: new Float32Array(own.buffer) }];
      },
    ),
  );
}

/** Columns `start` to `start + count` of a matrix `[out, in]`, which become those of `[in, out]`. */
function turned({ data, shape }: Tensor, start: number, count: number): Float32Array {
  const inner = shape[1]!;
  const made = new Float32Array(inner * count);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < inner; column++) made[column * count + row] = data[(start + row) * inner + column]!;
  }
  return made;
}

/** The weights of the layers in the place of those of CTranslate2. */
function weightOf(tensors: Map<string, Tensor>, layer: string, name: string): Float32Array {
  const tensor = (path: string) => tensors.get(path)!;
  if (name === "embeddings") {
    return layer.endsWith("Positions") ? positions() : tensor(`${layer.slice(0, 7)}/embeddings/weight`).data;
  }
  if (layer === "head") {
    const weight = tensor("decoder/projection/weight");
    return name === "bias" ? tensor("decoder/projection/bias").data : turned(weight, 0, weight.shape[0]!);
  }
  const side = layer.slice(0, 7);
  if (layer.endsWith("Norm")) return tensor(`${side}/layer_norm/${name}`).data;
  const own = `${side}/layer_${layer.slice(7)}`;
  const [part, ...rest] = name.split("/") as [string, ...string[]];
  const kind = rest.at(-1)!;
  const norms: Record<string, string> = {
    selfAttentionLayerNorm: "self_attention",
    crossAttentionLayerNorm: "attention",
    feedforwardLayerNorm: "ffn",
  };
  if (part in norms) return tensor(`${own}/${norms[part]}/layer_norm/${kind}`).data;
  const linear = (path: string, start = 0, count?: number) => {
    const weight = tensor(`${own}/${path}/weight`);
    const size = count ?? weight.shape[0]!;
    return kind === "bias"
      ? tensor(`${own}/${path}/bias`).data.slice(start, start + size)
      : turned(weight, start, size);
  };
  if (part === "feedforwardIntermediateDense") return linear("ffn/linear_0");
  if (part === "feedforwardOutputDense") return linear("ffn/linear_1");
  const place = ["query", "key", "value"].indexOf(rest[0]!);
  if (part === "selfAttention") {
    return place === -1 ? linear("self_attention/linear_1") : linear("self_attention/linear_0", place * width, width);
  }
  if (place === -1) return linear("attention/linear_2");
  return place === 0 ? linear("attention/linear_0") : linear("attention/linear_1", (place - 1) * width, width);
}

async function tokenizer(path: string, unknown: number): Promise<Tokenizer> {
  const tokens = readFileSync(path, "utf8").split("\n").slice(0, unknown);
  const vocab = Object.fromEntries([...tokens, "<unk>"].map((token, id) => [token, id]));
  const scratch = mkdtempSync(join(tmpdir(), "sconce-transliteration-"));
  try {
    const file = join(scratch, "tokenizer.json");
    const special = (content: string) => {
      const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
      return { id: vocab[content], content, ...flags };
    };
    const document = {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: ["<blank>", "<s>", "</s>", "<unk>"].map(special),
      normalizer: null,
      pre_tokenizer: { type: "WhitespaceSplit" },
      post_processor: null,
      decoder: null,
      model: { type: "WordLevel", vocab, unk_token: "<unk>" },
    };
    writeFileSync(file, JSON.stringify(document));
    const names = { padding: "<blank>", unknown: "<unk>", begin: "<s>", end: "</s>" };
    return await Tokenizer.load(file, names);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

test("a published model gives the published translations and log-probabilities", async (t) => {
  if (!isThere) {
    t.log("not tested: set SCONCE_DATA to the folder that holds conformance/aren-transliteration");
    t.pass();
    return;
  }
  const place = (name: string) => join(folder, name);
  const source = await tokenizer(place("source_vocabulary.txt"), 50);
  const target = await tokenizer(place("target_vocabulary.txt"), 42);
  const made = network({ source: source.vocabulary.size, target: target.vocabulary.size });
  const tensors = readTensors(place("model.safetensors"));
  const { weights } = JSON.parse(made.handle().describe()) as {
    weights: { layer: string; name: string; shape: number[] }[];
  };
  await made.setWeights(weights.map(({ layer, name, shape }) => ndarray(weightOf(tensors, layer, name), shape)));
  const translator = Seq2Seq.fromModel({ model: made, source, target, sourceEnd: false });
  const expected = JSON.parse(readFileSync(place("expected.json"), "utf8")) as Expected;
  let compared = 0;
  for (const own of expected.translate) {
    // A word that is not in the vocabulary is read as the unknown token.
    const prefix = (own.target_prefix ?? []).map((token) => (token === "<unk>" ? "unheard" : token));
    const ids = (tokens: readonly string[]) => tokens.map((token) => target.vocabulary.id(token));
    const options = {
      targetPrefix: prefix.join(" "),
      ...(own.suppress_sequences === undefined ? {} : { badWordsIds: own.suppress_sequences.map(ids) }),
      ...(own.end_token === undefined ? {} : { eosTokenId: ids([own.end_token]) }),
      maxNewTokens: 40,
    };
    for (const numBeams of [1, 4]) {
      const attended = { ...options, numBeams, outputAttentions: own.replace_unknowns === true };
      const [found] = await translator.generate([own.source.join(" ")], attended);
      const tokens = found!.tokens.map((token, index) => {
        const shares = found!.attention?.[index];
        // The source's token that it looks at most.
        return token === "<unk>" && shares !== undefined ? own.source[shares.indexOf(Math.max(...shares))]! : token;
      });
      t.deepEqual(tokens, own.output, `${JSON.stringify(own)} ${numBeams} beams`);
      compared += 1;
    }
  }
  t.is(compared, 12);
  const scored = await translator.score(
    expected.score.map((own) => ({ source: own.source.join(" "), target: own.target.join(" ") })),
  );
  for (const [index, { logProbabilities }] of scored.entries()) {
    const wanted = expected.score[index]!.token_logprobs_incl_eos;
    t.is(logProbabilities.length, wanted.length);
    t.true(logProbabilities.every((value, step) => Math.abs(value - wanted[step]!) < 1e-5));
  }
});
