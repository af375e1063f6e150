import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { attention } from "../../bench/attention.ts";
import { attentionCaseNames, writeAttentionCase } from "../../bench/attention-cases.ts";
import { write } from "../../bench/lstm-step-cases.ts";
import { measured, Worker } from "../../bench/worker.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-attention-cases-"));
test.after.always(() => rmSync(folder, { recursive: true }));

test("every case has as many tokens and one name for each weight", (t) => {
  t.is(attentionCaseNames.length, 24);
  for (const name of ["T256-h8", "T8192-h4-causal"]) {
    const { batches, causal, dimension, heads, length, weightNames, weights } = writeAttentionCase(name, folder);
    t.is(name, `T${length}-h${heads}${causal ? "-causal" : ""}`);
    t.is(dimension, 64 * heads);
    t.is(weightNames.length, weights.length);
    for (const [keys, queries, goal] of batches) {
      t.deepEqual(keys!.shape, [8192 / length, length]);
      t.deepEqual(queries!.shape, keys!.shape);
      t.deepEqual(goal!.shape, [8192 / length]);
    }
  }
});

test("the weights of a case fit the model, which trains", async (t) => {
  const described = writeAttentionCase("T256-h4-causal", folder);
  const idsFile = join(folder, "short.ids");
  const ids = (shape: number[], values: number[]) => ({ shape, data: Int32Array.from(values) });
  const batch = write(idsFile, [ids([2, 3], [4, 5, 6, 7, 8, 9]), ids([2, 2], [1, 2, 3, 4]), ids([2], [1, 15])]);
  const worker = new Worker(measured("attention.mjs"));
  try {
    await worker.ask({ command: "open", ...described, batches: [batch], idsFile });
    const { losses } = await worker.ask<{ losses: number[] }>({ command: "run", first: 0, count: 2 });
    t.true(losses.length === 2 && losses.every((loss) => loss > 0 && Number.isFinite(loss)));
    t.true(losses[1]! < losses[0]!);
  } finally {
    worker.close();
  }
});

test("unknown cases are refused", async (t) => {
  await t.throwsAsync(attention({ json: false, threads: 1, percent: 1, case: "T1-h1" }), {
    message: /T256-h8, T512-h8/,
  });
});
