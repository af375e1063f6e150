// `npm run bench -- NAME`: measures sconce and its peers; see CONTRIBUTING.md.
import { availableParallelism } from "node:os";
import { type BenchOptions, HelpRequest, readArguments, UsageError } from "./arguments.ts";
import { attention } from "./attention.ts";
import { character } from "./character.ts";
import { decode } from "./decode.ts";
import { demo } from "./demo.ts";
import { eventLoop } from "./event-loop.ts";
import { inputPipeline } from "./input-pipeline.ts";
import { languageModel } from "./language-model.ts";
import { longRun } from "./long-run.ts";
import { lstmStep } from "./lstm-step.ts";
import { memory } from "./memory.ts";
import { metrics } from "./metrics.ts";
import { multi30kEpoch } from "./multi30k-epoch.ts";
import { recomputation } from "./recomputation.ts";
import type { Report } from "./report.ts";
import { rnnStep } from "./rnn-step.ts";
import { start } from "./start.ts";
import { tokenizer } from "./tokenizer.ts";
import { transformerStep } from "./transformer-step.ts";
import { transformerTwin } from "./transformer-twin.ts";

const benches: Record<string, (options: BenchOptions) => Promise<Report>> = {
  "lstm-step": lstmStep,
  "rnn-step": rnnStep,
  "transformer-step": transformerStep,
  "multi30k-epoch": multi30kEpoch,
  "transformer-twin": transformerTwin,
  attention,
  recomputation,
  "event-loop": eventLoop,
  memory,
  "long-run": longRun,
  start,
  demo,
  character,
  "input-pipeline": inputPipeline,
  tokenizer,
  "language-model": languageModel,
  metrics,
  decode,
};

try {
  const { name, options } = readArguments(process.argv.slice(2), availableParallelism(), process.env);
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
  if (bench === undefined) throw new UsageError(`unknown bench ${name}; known are ${Object.keys(benches).join(", ")}`);
  const report = await bench(options);
  if (options.percent < 100) console.log(`\n${options.percent} % of the full measurement: no results`);
  if (options.json) console.log(JSON.stringify(report));
} catch (error) {
  if (error instanceof HelpRequest) console.log(error.message);
  else console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof HelpRequest ? 0 : error instanceof UsageError ? 2 : 1;
}
