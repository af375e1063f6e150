import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { write } from "../../bench/lstm-step-cases.ts";
import { multi30kModels } from "../../bench/multi30k.ts";
import { writeTransformerCase, writeTransformerWeights } from "../../bench/transformer-cases.ts";
import { measured, Worker } from "../../bench/worker.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-transformer-cases-"));
test.after.always(() => rmSync(folder, { recursive: true }));

const { small, tiny } = multi30kModels(30);
const models = { small: small!, tiny: tiny!, "pre-norm": { ...tiny!, normalizeFirst: true, tied: false } };

for (const [name, options] of Object.entries(models)) {
  test(`${name}: the weights of a case fit the model, which learns and tells its loss`, async (t) => {
    const idsFile = join(folder, `${name}.ids`);
    const rows = (shape: number[], ids: number[]) => ({ shape, data: Int32Array.from(ids) });
    const batch = write(idsFile, [
      rows([2, 3], [4, 5, 6, 7, 0, 0]),
      rows([2, 2], [2, 8, 2, 9]),
      rows([2, 2], [8, 3, 9, 0]),
    ]);
    const written = writeTransformerWeights(options, join(folder, `${name}.weights`));
    const worker = new Worker(measured("transformer-step.mjs"));
    try {
      const request = { ...options, ...written, masked: true, metrics: true, batches: [batch], idsFile };
      await worker.ask({ command: "open", ...request });
      const { losses } = await worker.ask<{ losses: number[] }>({ command: "run", first: 0, count: 3 });
      t.true(losses.length === 3 && losses.every((loss) => loss > 0));
      const { loss, tokens } = await worker.ask<{ loss: number; tokens: number }>({
        command: "evaluate",
        batches: [batch, batch],
      });
      t.is(tokens, 6);
      t.true(loss > 0 && Number.isFinite(loss));
      const wrong = { ...request, weightNames: written.weightNames.map((name) => name.replace("query", "question")) };
      await t.throwsAsync(worker.ask({ command: "open", ...wrong }), { message: /encoder0\/selfAttention\/query/ });
    } finally {
      worker.close();
    }
  });
}

test("a case has one name for each weight, 64 batches, and is checked without dropout", (t) => {
  const { weightNames, weights, batches, check, dropout } = writeTransformerCase("V8000", folder);
  t.is(weightNames.length, weights.length);
  t.is(new Set(weightNames).size, weightNames.length);
  t.is(batches.length, 64);
  t.true(batches.every((places) => places.every(({ shape }) => shape.join() === "64,20")));
  t.is(dropout, 0.1);
  t.deepEqual(check, { dropout: 0, attentionDropout: 0, activationDropout: 0 });
});
