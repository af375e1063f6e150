import type { Dataset } from "../../data/dataset.ts";
import type { DataBatch } from "../../data/example.ts";
import { DataError } from "../../errors.ts";
import { judged } from "../../training/source.ts";
import { testRequest } from "../../training/step-request.ts";
import type { Model } from "../model.ts";
import { checkTrained } from "./fit.ts";

/** What `Seq2Seq.evaluate` gives; means are over target tokens, the end tokens included. */
export interface Evaluation {
  /** Mean loss of a token. */
  loss: number;
  /** Share of tokens that are the most probable one, given the tokens before; only if the model was compiled with `"accuracy"`. */
  accuracy?: number;
  /** `exp` of the mean cross-entropy of a token, without label smoothing if the model was compiled with `"perplexity"`. */
  perplexity: number;
  /** Count of tokens. */
  tokens: number;
}

/** Runs a compiled model over padded batches. */
export async function evaluateBatches(
  model: Model,
  output: number,
  batches: Dataset<DataBatch>,
  signal: AbortSignal | undefined,
): Promise<Evaluation> {
  checkTrained(model, output);
  await model.build(signal === undefined ? {} : { signal });
  const trained = model.trainedOutputs.filter((_, index) => index === output);
  const metrics = trained[0]!.metrics.map(({ name }) => name);
  const accuracy = metrics.indexOf("accuracy");
  const perplexity = metrics.indexOf("perplexity");
  let tokens = 0;
  const sums = { loss: 0, accuracy: 0, crossEntropy: 0 };
  for await (const batch of batches) {
    signal?.throwIfAborted();
    const data = await judged(batch, "evaluate: ", model.inputSpecifications, trained);
    const result = await model.trainer().testOnBatch(testRequest(model, data), signal);
    const own = result.outputs[output]!;
    // Each value is a mean over the real tokens of the batch: the others are masked, or there are none.
    let real = 0;
    for (const id of data.targets[0]!.data) if (id !== 0) real += 1;
    const mean = (metric: number) => own.metrics[metric]!.total / own.metrics[metric]!.count;
    tokens += real;
    sums.loss += own.loss * real;
    sums.crossEntropy += (perplexity === -1 ? own.loss : mean(perplexity)) * real;
    if (accuracy !== -1) sums.accuracy += mean(accuracy) * real;
  }
  if (tokens === 0) throw new DataError("evaluate: there are no sentence pairs");
  return {
    loss: sums.loss / tokens,
    ...(accuracy === -1 ? {} : { accuracy: sums.accuracy / tokens }),
    perplexity: Math.exp(sums.crossEntropy / tokens),
    tokens,
  };
}
