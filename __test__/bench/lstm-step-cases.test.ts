import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { writeCase } from "../../bench/lstm-step-cases.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-cases-"));
test.after.always(() => rmSync(folder, { recursive: true }));

function reader(path: string) {
  const bytes = readFileSync(path);
  return ({ shape, offset }: { shape: number[]; offset: number }) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    return new Int32Array(new Uint8Array(bytes.subarray(offset, offset + 4 * size)).buffer);
  };
}

for (const name of ["tatoeba", "tatoeba-bucketed"]) {
  test(`${name}: the goal is the decoder's input one step ahead, padded at the right only`, (t) => {
    const { batches, idsFile, vocabulary, masked } = writeCase(name, folder);
    t.true(masked);
    const read = reader(idsFile);
    for (const [source, decoder, goal] of batches) {
      t.is(source!.shape[0], 64);
      t.deepEqual(decoder!.shape, goal!.shape);
      const [rows = 0, length = 0] = decoder!.shape;
      const [fed, expected] = [read(decoder!), read(goal!)];
      for (let row = 0; row < rows; row++) {
        const input = fed.subarray(row * length, (row + 1) * length);
        const output = expected.subarray(row * length, (row + 1) * length);
        const valid = input.indexOf(0) === -1 ? length : input.indexOf(0);
        t.is(input[0], 2);
        t.is(output[valid - 1], 3);
        t.deepEqual(output.subarray(0, valid - 1), input.subarray(1, valid));
        t.true(input.subarray(valid).every((id) => id === 0) && output.subarray(valid).every((id) => id === 0));
      }
      t.true(read(source!).every((id) => id >= 0 && id < vocabulary));
    }
  });
}

test("batches of similar length hold less padding than mixed ones", (t) => {
  const padding = (name: string) => {
    const { batches, idsFile } = writeCase(name, folder);
    const read = reader(idsFile);
    const ids = batches.flatMap(([, decoder]) => [...read(decoder!)]);
    return ids.filter((id) => id === 0).length / ids.length;
  };
  const [mixed, bucketed] = [padding("tatoeba"), padding("tatoeba-bucketed")];
  t.log(`padding: ${(100 * mixed).toFixed(0)} % mixed, ${(100 * bucketed).toFixed(0)} % bucketed`);
  t.true(mixed > 0.3 && bucketed < 0.2);
});

test("fixed lengths: no padding, every batch another one", (t) => {
  const { batches, idsFile, weights } = writeCase("V8000", folder);
  const read = reader(idsFile);
  const firsts = new Set(batches.map(([source]) => read(source!).join()));
  t.is(firsts.size, batches.length);
  t.true(batches.every((batch) => batch.every((place) => read(place).every((id) => id > 0 && id < 8000))));
  t.deepEqual(weights.at(-2)?.shape, [256, 8000]);
});
