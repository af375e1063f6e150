import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BenchOptions, UsageError } from "./arguments.ts";
import { lossCurves } from "./loss-curves.ts";
import { runCase, type Side, stepPeer } from "./lstm-step.ts";
import type { Report } from "./report.ts";
import { isRounded, transformerCaseNames, writeTransformerCase } from "./transformer-cases.ts";
import { measured } from "./worker.ts";

/** Ours, then PyTorch: eager, compiled as a whole, and with the output layer and its loss compiled alone. */
export function transformerSides(options: BenchOptions): Side[] {
  const script = stepPeer("transformer_step.py", options);
  return [
    { name: "sconce", start: measured("transformer-step.mjs", [], { SCONCE_THREADS: String(options.threads) }) },
    { name: "torch-eager", start: script("torch-eager"), required: "torch-eager" },
    { name: "torch-compile", start: script("torch-compile"), required: "torch-compile" },
    { name: "torch-compile-loss", start: script("torch-compile-loss"), required: "torch-compile" },
  ];
}

/** Ours in bfloat16, then PyTorch under autocast in the same configurations; both in float32 for information. */
function roundedSides(options: BenchOptions): Side[] {
  const script = stepPeer("transformer_step.py", options);
  const ours = (precision: string) =>
    measured("transformer-step.mjs", [precision], { SCONCE_THREADS: String(options.threads) });
  return [
    { name: "sconce", start: ours("bfloat16") },
    { name: "torch-autocast", start: script("torch-autocast"), required: "torch-autocast" },
    { name: "torch-autocast-compile", start: script("torch-autocast-compile"), required: "torch-autocast-compile" },
    {
      name: "torch-autocast-compile-loss",
      start: script("torch-autocast-compile-loss"),
      required: "torch-autocast-compile",
    },
    { name: "sconce-float32", start: ours("float32"), information: true },
  ];
}

/** A training step of an encoder-decoder Transformer, ours and PyTorch's in turn. */
export async function transformerStep(options: BenchOptions): Promise<Report> {
  if (options.case !== undefined && !transformerCaseNames.includes(options.case)) {
    throw new UsageError(`--case: known are ${transformerCaseNames.join(", ")}`);
  }
  const folder = mkdtempSync(join(tmpdir(), "sconce-bench-"));
  const report: Report = { bench: "transformer-step", machine: {}, versions: {}, cases: [] };
  const keepsMemory = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184";
  const untrimmed = stepPeer("transformer_step.py", options)("torch-eager", { GLIBC_TUNABLES: keepsMemory });
  try {
    for (const name of options.case === undefined ? transformerCaseNames : [options.case]) {
      const described = writeTransformerCase(name, folder);
      const { encoderLayers, decoderLayers, dimension, feedForward, heads } = described;
      const sizes = `${encoderLayers}+${decoderLayers} layers x ${dimension}, ff ${feedForward}, ${heads} heads`;
      console.log(`\n${name}: ${sizes}, batch 64, 20+20, AdamW, ${options.threads} threads`);
      const sides: Side[] = isRounded(name)
        ? roundedSides(options)
        : [...transformerSides(options), { name: "torch-eager-without-trimming", start: untrimmed, information: true }];
      const result = await runCase(name, described, sides, options, report);
      if (isRounded(name) && options.updates !== undefined) {
        const ours = sides.filter((side) => side.name.startsWith("sconce"));
        result.curves = await lossCurves(ours.reverse(), described, options.updates);
      }
      report.cases.push(result);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}
