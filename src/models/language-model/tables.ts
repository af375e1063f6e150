import type { SymbolicTensor } from "../../graph/tensor.ts";
import type { Initializer } from "../../initializers/initializer.ts";
import { activation } from "../../layers/activation.ts";
import { dense } from "../../layers/dense.ts";
import { embedding } from "../../layers/embedding.ts";
import { reversibleEmbedding } from "../../layers/reversible-embedding.ts";

/** What the tables of a language model are like. */
interface TableOptions {
  /** Tokens of the vocabulary. */
  readonly size: number;
  readonly width: number;
  readonly tied: boolean;
  readonly bias: boolean;
  readonly start: Initializer;
}

/** What turns ids into vectors, and vectors into probabilities of the next ids. */
export function tablesOf({ size, width, tied, bias, start }: TableOptions): {
  embed: (ids: SymbolicTensor) => SymbolicTensor;
  probabilities: (x: SymbolicTensor) => SymbolicTensor;
} {
  const common = { name: "embedding", inputDim: size, outputDim: width, maskZero: true, embeddingsInitializer: start };
  if (!tied) {
    return {
      embed: embedding(common),
      probabilities: dense({
        name: "probabilities",
        units: size,
        activation: "softmax",
        useBias: bias,
        kernelInitializer: start,
      }),
    };
  }
  const table = reversibleEmbedding({ ...common, useBias: bias });
  const softmax = activation({ name: "probabilities", activation: "softmax" });
  return { embed: (ids) => table(ids), probabilities: (x) => softmax(table(x, { reverse: true })) };
}
