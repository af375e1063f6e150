import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { FileError, OptionError } from "../../src/errors.ts";
import { crc32c, maskedCrc32c } from "../../src/training/callbacks/tensor-board/crc32c.ts";
import { scalarEvent } from "../../src/training/callbacks/tensor-board/event.ts";
import { EventFile } from "../../src/training/callbacks/tensor-board/event-file.ts";
import { record } from "../../src/training/callbacks/tensor-board/record.ts";
import { backupAndRestore, type Callback, fit, tensorBoard } from "../../src/training/index.ts";
import { FakeModel, pairs, withoutSync } from "./fake-model.ts";

withoutSync();
const quiet = { verbose: "silent" } as const;

interface Golden {
  losses: number[][];
  validation: number[];
  runs: { updateFreq: "epoch" | "batch" | number; train: string[]; validation: string[] }[];
}

const golden: Golden = JSON.parse(readFileSync(new URL("../golden/keras/tensor-board.json", import.meta.url), "utf8"));

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sconce-tensor-board-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The data of all records, whose checksums are right. */
function records(t: ExecutionContext, bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let place = 0; place < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(place));
    t.is(bytes.readUInt32LE(place + 8), maskedCrc32c(bytes.subarray(place, place + 8)));
    const data = bytes.subarray(place + 12, place + 12 + length);
    t.is(bytes.readUInt32LE(place + 12 + length), maskedCrc32c(data));
    found.push(data);
    place += length + 16;
  }
  return found;
}

/** The events of the only file of a folder, each without its time, which is checked. */
async function events(t: ExecutionContext, folder: string, since: number): Promise<string[]> {
  const [name, ...others] = await readdir(folder);
  t.deepEqual(others, []);
  t.regex(name!, /^events\.out\.tfevents\.\d{10}\.[\w.-]+\.\d+\.\d+\.v2$/);
  const [version, ...rest] = records(t, await readFile(join(folder, name!))).map((event) => {
    t.is(event[0], 9);
    const seconds = event.readDoubleLE(1);
    t.true(seconds >= since / 1000 && seconds <= Date.now() / 1000, String(seconds));
    return event.subarray(9);
  });
  t.is(version!.toString("latin1"), "\x1a\rbrain.Event:2");
  return rest.map((event) => event.toString("hex"));
}

/** Trains with the numbers of the golden run. */
async function train(callbacks: Callback[], validated = true): Promise<FakeModel> {
  const losses = golden.losses.flat();
  const model = new FakeModel({ loss: (step) => losses[step]!, testLoss: (step) => golden.validation[step]! });
  const data = pairs(20);
  const validation = pairs(4);
  const validationData = validated ? { validationData: [validation.x, validation.y] as const } : {};
  await fit(model, data.x, data.y, { batchSize: 4, epochs: 2, shuffle: false, callbacks, ...validationData, ...quiet });
  return model;
}

test("checksums are those of RFC 3720, and masked as in TFRecord files", (t) => {
  const rising = Uint8Array.from({ length: 32 }, (_, index) => index);
  t.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
  t.is(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  t.is(crc32c(rising), 0x46dd794e);
  t.is(crc32c(rising.toReversed()), 0x113fdb5c);
  t.is(crc32c(Buffer.from("123456789")), 0xe3069283);
  t.is(crc32c(new Uint8Array(0)), 0);
  t.is(maskedCrc32c(new Uint8Array(0)), 0xa282ead8);
});

for (const { updateFreq, ...expected } of golden.runs) {
  test(`events with updateFreq ${updateFreq} are those of Keras and TensorFlow, byte for byte`, async (t) => {
    const logDir = join(await temporary(t), "deep", "run");
    const since = Date.now();
    await train([tensorBoard({ logDir, updateFreq })]);
    const written = await events(t, join(logDir, "train"), since);
    const isBatch = (event: string) => event.includes(Buffer.from("batch_").toString("hex"));
    t.deepEqual(written.filter(isBatch), expected.train.filter(isBatch));
    // With a number Keras drops the values of epochs that do not end with a step which is written.
    const epochs = golden.runs[0]!;
    t.deepEqual(
      written.filter((event) => !isBatch(event)),
      epochs.train,
    );
    t.deepEqual(await events(t, join(logDir, "validation"), since), epochs.validation);
    if (typeof updateFreq !== "number") t.deepEqual(written, expected.train);
  });
}

test("names are written as in Keras, and validation has a folder only if there is any", async (t) => {
  const logDir = await temporary(t);
  const add: Callback = {
    onEpochEnd: (_epoch, logs) =>
      void Object.assign(logs, { sparseCategoricalAccuracy: 1, validity: 2, BLEU: 3, learningRate: 9 }),
  };
  const callback = tensorBoard({ logDir });
  await train([add, callback], false);
  t.deepEqual(await readdir(logDir), ["train"]);
  const [name] = await readdir(join(logDir, "train"));
  const content = await readFile(join(logDir, "train", name!));
  const tags = records(t, content).flatMap((event) => /epoch_\w+?(?=B)/.exec(event.toString("latin1"))?.[0] ?? []);
  t.deepEqual(tags.slice(0, 6), [
    "epoch_loss",
    "epoch_accuracy",
    "epoch_sparse_categorical_accuracy",
    "epoch_validity",
    "epoch_BLEU",
    "epoch_learning_rate",
  ]);
  t.is(tags.length, 12);
  // Another run has a file of its own.
  await train([callback], false);
  t.is((await readdir(join(logDir, "train"))).length, 2);
  t.deepEqual(await readFile(join(logDir, "train", name!)), content);
});

test("large steps and numbers that are not finite are encoded", (t) => {
  const step = 2 ** 40 + 300;
  const event = scalarEvent(1.5, step, "loss", Number.NaN);
  t.is(event.readDoubleLE(1), 1.5);
  let read = 0;
  for (let index = 0; ; index++) {
    const byte = event[10 + index]!;
    read += (byte & 127) * 128 ** index;
    if (byte < 128) break;
  }
  t.is(read, step);
  t.true(event.includes(Buffer.from([4 * 8 + 2, 4, 0, 0, 0xc0, 0x7f])), "tensor_content");
});

test("names in capitals stay, also of validation", async (t) => {
  const logDir = await temporary(t);
  const add: Callback = { onEpochEnd: (_epoch, logs) => void Object.assign(logs, { valBLEU: 1, val_F1: 2, val: 3 }) };
  await train([add, tensorBoard({ logDir })], false);
  const read = async (part: string) => {
    const [name] = await readdir(join(logDir, part));
    return (await readFile(join(logDir, part, name!))).toString("latin1");
  };
  t.regex(await read("validation"), /epoch_BLEUB.*epoch_f1B/s);
  t.regex(await read("train"), /epoch_valB/);
  t.notRegex(await read("train"), /BLEU|f1/);
});

test("a resumed run goes on with its files, which end as those of an uninterrupted one", async (t) => {
  const folder = await temporary(t);
  const since = Date.now();
  const killed = new Error("killed");
  const whole = join(folder, "whole");
  await train([tensorBoard({ logDir: whole, updateFreq: "batch" })]);
  for (const saveFreq of ["epoch", 2] as const) {
    const logDir = join(folder, `cut-${saveFreq}`);
    const run = async (model: FakeModel, stop?: number) => {
      const kill: Callback = {
        onBatchBegin() {
          if (model.trained.length === stop) throw killed;
        },
      };
      const callbacks = [
        tensorBoard({ logDir, updateFreq: "batch" }),
        kill,
        backupAndRestore({ folder: join(folder, "backup"), saveFreq }),
      ];
      const data = pairs(20);
      const validation = pairs(4);
      const validationData = [validation.x, validation.y] as const;
      const options = { batchSize: 4, epochs: 2, shuffle: false, validationData, callbacks, ...quiet };
      return fit(model, data.x, data.y, options);
    };
    const losses = golden.losses.flat();
    const testLoss = (offset: number) => (step: number) => golden.validation[step + offset]!;
    await t.throwsAsync(run(new FakeModel({ loss: (step) => losses[step]!, testLoss: testLoss(0) }), 9), {
      is: killed,
    });
    const done = saveFreq === "epoch" ? 5 : 8;
    await run(new FakeModel({ loss: (step) => losses[step + done]!, testLoss: testLoss(1) }));
    for (const part of ["train", "validation"]) {
      t.deepEqual(await events(t, join(logDir, part), since), await events(t, join(whole, part), since), part);
    }
  }
});

test("a file of a checkpoint that has gone, or lies elsewhere, is not gone on with", async (t) => {
  const folder = await temporary(t);
  await writeFile(join(folder, "other"), "kept");
  const names = ["../other", "events.out.tfevents.1.host.1.0.v2"];
  for (const [index, name] of names.entries()) {
    const file = new EventFile(join(folder, `${index}`));
    file.resume({ name, bytes: 4 });
    await file.append([]);
    t.is((await readdir(join(folder, `${index}`))).length, 1);
    t.not(file.state!.name, name);
    t.is(file.state!.bytes, record(Buffer.alloc(24)).length);
  }
  t.is(await readFile(join(folder, "other"), "utf8"), "kept");
});

test("a folder that cannot be written is found out before the first step", async (t) => {
  const folder = await temporary(t);
  await writeFile(join(folder, "file"), "");
  let steps = 0;
  const count: Callback = { onBatchBegin: () => void steps++ };
  await t.throwsAsync(train([tensorBoard({ logDir: join(folder, "file") }), count]), {
    instanceOf: FileError,
    message: /tensorBoard: cannot write .*train/,
  });
  t.is(steps, 0);
});

test("a full disk rejects", async (t) => {
  if (!existsSync("/dev/full")) {
    t.log("not tested: there is no /dev/full here");
    t.pass();
    return;
  }
  const logDir = await temporary(t);
  const full: Callback = {
    async onEpochBegin(epoch) {
      if (epoch === 0) return;
      const folder = join(logDir, "train");
      const [name] = await readdir(folder);
      await rm(folder, { recursive: true });
      await mkdir(folder);
      await symlink("/dev/full", join(folder, name!));
    },
  };
  await t.throwsAsync(train([tensorBoard({ logDir }), full]), {
    instanceOf: FileError,
    message: /tensorBoard: cannot write .*v2: ENOSPC/,
  });
});

test("options are checked", (t) => {
  for (const options of [
    {},
    { logDir: "" },
    { logDir: "x", updateFreq: 0 },
    { logDir: "x", updateFreq: 1.5 },
    { logDir: "x", updateFreq: "step" },
    { logDir: "x", histogramFreq: 1 },
  ]) {
    t.throws(() => tensorBoard(options as never), { instanceOf: OptionError }, JSON.stringify(options));
  }
});
