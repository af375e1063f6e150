/** `training.mixedPrecision` of a configuration. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { parse } from "yaml";
import { resolveConfig } from "../../src/cli/config/config.ts";
import { environment, OptionError } from "../../src/index.ts";
import { sconce } from "../helpers/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-mixed-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const fields = (mixedPrecision?: unknown) => ({
  data: { train: "pairs.tsv" },
  out: "run",
  training: mixedPrecision === undefined ? {} : { mixedPrecision },
});

test("false says as much as nothing; other values are one line", (t) => {
  t.deepEqual(resolveConfig("a.yaml", fields(false), []), resolveConfig("a.yaml", fields(), []));
  for (const value of ["float16", true]) {
    t.throws(() => resolveConfig("a.yaml", fields(value), []), {
      instanceOf: OptionError,
      message: `a.yaml: training.mixedPrecision: expected false or bfloat16, got ${JSON.stringify(value)}`,
    });
  }
});

test("a CPU without it is refused before anything is read", async (t) => {
  const flags = ["--train", "none.tsv", "--out", join(folder, "none"), "--set", "training.mixedPrecision=bfloat16"];
  const { status, output, error } = await sconce(["train", ...flags], "", { SCONCE_SIMD: "scalar" });
  t.is(status, 2);
  t.is(output, "");
  t.regex(error, /mixedPrecision "bfloat16" needs a CPU with avx512_bf16, which .*: leave mixedPrecision out to train/);
  t.regex(error, /^[^\n]*--set[^\n]*\n$/);
});

test("a run is trained in it where the CPU has it", async (t) => {
  const path = join(folder, "run.yaml");
  writeFileSync(join(folder, "pairs.tsv"), Array.from({ length: 64 }, (_, i) => `${i * 7}\t${i * 9}\n`).join(""));
  const text = `
data: {train: pairs.tsv}
tokenizers: {joint: true, source: {type: character}}
model: {type: transformer, dModel: 32, heads: 2, ffn: 64, encoderLayers: 1, decoderLayers: 1, recompute: true}
training: {epochs: 2, batchSize: 32}
validation: {samples: 0}
`;
  const run = (name: string, precision: string) => {
    writeFileSync(path, `out: ${name}${text.replace("epochs", `${precision}epochs`)}`);
    return sconce(["train", path, "--json"]);
  };
  const rounded = await run("rounded", "mixedPrecision: bfloat16, ");
  if (!environment().bfloat16) {
    t.is(rounded.status, 2);
    t.regex(rounded.error, /^sconce train: run.yaml: training.mixedPrecision: .* needs a CPU with avx512_bf16/);
    t.log("not tested: bfloat16, for which this machine has no instructions");
    return;
  }
  const exact = await run("exact", "");
  const losses = [rounded, exact].map(({ status, output, error }) => {
    t.is(status, 0, error);
    return (JSON.parse(output) as { history: { loss: number[] } }).history.loss;
  });
  t.notDeepEqual(losses[0], losses[1]);
  for (const [epoch, loss] of losses[0]!.entries()) t.true(Math.abs(loss - losses[1]![epoch]!) < 0.02 * loss);
  const printed = await sconce(["train", path, "--set", "training.mixedPrecision=bfloat16", "--print-config"]);
  t.is((parse(printed.output) as { training: { mixedPrecision: string } }).training.mixedPrecision, "bfloat16");
});
