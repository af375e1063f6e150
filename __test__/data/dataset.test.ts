import test from "ava";
import fc from "fast-check";
import { Dataset } from "../../src/data/dataset.ts";
import type { DatasetPosition } from "../../src/data/dataset-iterator.ts";
import { padSequences, stack } from "../../src/data/example.ts";
import { DataError, OptionError, StateError } from "../../src/errors.ts";

async function all<T>(dataset: Dataset<T>, position?: Partial<DatasetPosition>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of dataset.iterate(position)) items.push(item);
  return items;
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const identity = <T>(items: T[]) => items;

test("map, filter and batch act in order", async (t) => {
  const expected = [[0, 4], [8, 12], [16]];
  for (const dataset of [Dataset.from(numbers(10)), Dataset.fromIterable(() => numbers(10))]) {
    const result = dataset
      .filter(async (item) => item % 2 === 0)
      .map(async (item) => item * 2)
      .batch(2);
    t.deepEqual(await all(result), expected);
  }
  t.is(await Dataset.from(numbers(10)).batch(3).count(), 4);
  t.is(await Dataset.fromIterable(numbers(10)).count(), undefined);
});

test("shuffling depends on seed and epoch alone", async (t) => {
  const shuffled = Dataset.from(numbers(100)).shuffle(5);
  const first = await all(shuffled);
  t.deepEqual(await all(shuffled), first);
  t.notDeepEqual(await all(shuffled, { epoch: 1 }), first);
  t.notDeepEqual(await all(Dataset.from(numbers(100)).shuffle(6)), first);
  t.deepEqual(
    [...first].sort((a, b) => a - b),
    numbers(100),
  );
  const streamed = await all(Dataset.fromIterable(() => numbers(100)).shuffle(5, { window: 30 }));
  t.deepEqual(
    [...streamed].sort((a, b) => a - b),
    numbers(100),
  );
  t.true(streamed.slice(0, 30).every((item) => item < 30));
});

test("reading goes on at any position", async (t) => {
  const dataset = Dataset.from(numbers(101))
    .filter((item) => item % 3 !== 0)
    .shuffle(1)
    .map((item) => `${item}`)
    .bucketByLength({ length: (item) => item.length, batchSize: 4, seed: 2 }, identity);
  for (const epoch of [0, 1]) {
    const whole = await all(dataset, { epoch });
    for (let step = 0; step <= whole.length + 1; step++) {
      t.deepEqual(await all(dataset, { epoch, step }), whole.slice(step));
    }
  }
  const iterator = dataset.iterate({ epoch: 1 });
  await iterator.next();
  await iterator.next();
  const saved = JSON.parse(JSON.stringify(iterator.position));
  t.deepEqual(saved, { epoch: 1, step: 2 });
  t.deepEqual((await dataset.iterate(saved).next()).value, (await iterator.next()).value);
});

test("a plain iterable cannot be resumed, nor read twice", async (t) => {
  const dataset = Dataset.fromIterable(numbers(5)).batch(2);
  t.false(dataset.resumable);
  await t.throwsAsync(all(dataset, { step: 1 }), { instanceOf: StateError, message: /plain iterable/ });
  t.deepEqual(await all(dataset), [[0, 1], [2, 3], [4]]);
  await t.throwsAsync(all(dataset, { epoch: 1 }), { instanceOf: StateError, message: /read already/ });
  await t.throwsAsync(dataset.split({ count: 1 }), { instanceOf: StateError });
});

test("buckets hold every item once, within their limits and with little padding", async (t) => {
  const lengths = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.boolean(), fc.nat(3), async (items, byTokens, epoch) => {
      const limit = byTokens ? { batchTokens: 40 } : { batchSize: 7 };
      const dataset = Dataset.from(items.map((length, id) => ({ length, id })));
      const batches = await all(
        dataset.bucketByLength({ length: (item) => item.length, seed: 9, ...limit }, identity),
        { epoch },
      );
      t.deepEqual(
        batches
          .flat()
          .map(({ id }) => id)
          .sort((a, b) => a - b),
        numbers(items.length),
      );
      const ranges = batches.map((batch) => {
        const sizes = batch.map(({ length }) => length);
        t.true(byTokens ? Math.max(...sizes) * sizes.length <= 40 : sizes.length <= 7);
        return [Math.min(...sizes), Math.max(...sizes)] as const;
      });
      // Sorted by length, no batch reaches into the next.
      ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      for (const [index, range] of ranges.entries()) t.true(index === 0 || ranges[index - 1]![1] <= range[0]);
    }),
  );
});

test("buckets differ between epochs and come short to long without a seed", async (t) => {
  const items = numbers(60).map((id) => ({ id, length: id % 5 }));
  const options = { length: (item: { length: number }) => item.length, batchSize: 4 };
  const seeded = Dataset.from(items).bucketByLength({ ...options, seed: 1 }, identity);
  t.notDeepEqual(await all(seeded), await all(seeded, { epoch: 1 }));
  const sorted = (await all(Dataset.from(items).bucketByLength(options, identity))).flat();
  t.deepEqual(
    sorted.map(({ length }) => length),
    items.map(({ length }) => length).sort(),
  );
  await t.throwsAsync(
    all(Dataset.from(items).bucketByLength({ ...options, batchSize: undefined!, batchTokens: 3 }, identity)),
    {
      instanceOf: DataError,
      message: /length 4 .* 3 tokens/,
    },
  );
  t.throws(() => Dataset.from(items).bucketByLength({ length: () => 1 }, identity), { instanceOf: OptionError });
});

test("arrays give rows, and stacked rows give arrays", async (t) => {
  const input = { data: Int32Array.from(numbers(12)), shape: [4, 3] };
  const target = { data: Float32Array.from(numbers(4)), shape: [4, 1] };
  const batches = await all(Dataset.fromArrays([input], [target]).batch(3, stack));
  t.deepEqual(batches, [
    {
      inputs: [{ data: Int32Array.from(numbers(9)), shape: [3, 3] }],
      targets: [{ data: Float32Array.of(0, 1, 2), shape: [3, 1] }],
    },
    {
      inputs: [{ data: Int32Array.of(9, 10, 11), shape: [1, 3] }],
      targets: [{ data: Float32Array.of(3), shape: [1, 1] }],
    },
  ]);
  t.throws(() => Dataset.fromArrays([input], [{ data: new Float32Array(3), shape: [3] }]), {
    message: /target 0 has 3 rows/,
  });
  t.throws(() => Dataset.fromArrays([{ data: new Int32Array(5), shape: [2, 3] }]), {
    message: /needs 6 values, got 5/,
  });
  t.throws(() => Dataset.fromArrays([]), { instanceOf: DataError });
});

test("a dataset is split without loss", async (t) => {
  const [some, rest] = await Dataset.from(numbers(10)).split({ fraction: 0.3, seed: 1 });
  t.is((await all(some)).length, 3);
  t.deepEqual(
    [...(await all(some)), ...(await all(rest))].sort((a, b) => a - b),
    numbers(10),
  );
});

test("sequences are padded at their ends", (t) => {
  t.deepEqual(padSequences([[1, 2, 3], [4], []], { multiple: 2, value: 9 }), {
    data: Int32Array.of(1, 2, 3, 9, 4, 9, 9, 9, 9, 9, 9, 9),
    shape: [3, 4],
  });
  t.deepEqual(padSequences([], {}).shape, [0, 0]);
  t.throws(() => padSequences([[1, 2]], { length: 1 }), { instanceOf: DataError });
});

test("take gives the first items of each epoch and closes an iterable", async (t) => {
  const shuffled = Dataset.from(numbers(20)).shuffle(3);
  for (const epoch of [0, 1]) {
    t.deepEqual(await all(shuffled.take(6), { epoch }), (await all(shuffled, { epoch })).slice(0, 6));
    t.deepEqual(await all(shuffled.take(6), { epoch, step: 4 }), (await all(shuffled, { epoch })).slice(4, 6));
  }
  t.is(await shuffled.take(6).count(), 6);
  t.is(await shuffled.take(99).count(), 20);
  let read = 0;
  let closed = 0;
  const endless = Dataset.fromIterable(async function* () {
    try {
      for (;;) yield read++;
    } finally {
      closed += 1;
    }
  });
  t.deepEqual(await all(endless.take(3)), [0, 1, 2]);
  t.deepEqual([read, closed], [3, 1]);
  t.deepEqual(await all(endless.take(0)), []);
  t.is(read, 3);
  t.throws(() => endless.take(-1), { instanceOf: OptionError });
});

test("repeat gives each pass another order, and no order twice", async (t) => {
  for (const dataset of [Dataset.from(numbers(30)), Dataset.fromIterable(() => numbers(30))]) {
    const shuffled = dataset.shuffle(4);
    const epochs = [await all(shuffled.repeat(2)), await all(shuffled.repeat(2), { epoch: 1 })];
    const expected: number[][] = [];
    for (const epoch of [0, 1, 2, 3]) expected.push(await all(shuffled, { epoch }));
    t.deepEqual(epochs, [expected.slice(0, 2).flat(), expected.slice(2).flat()]);
    t.deepEqual(await all(shuffled.repeat().take(75)), expected.flat().slice(0, 75));
  }
  t.is(await Dataset.from(numbers(30)).repeat(3).count(), 90);
  t.is(await Dataset.from(numbers(30)).repeat().count(), undefined);
  t.is(await Dataset.from(numbers(30)).repeat().take(70).count(), 70);
  t.throws(() => Dataset.from([1]).repeat(0), { instanceOf: OptionError });
});

test("reading goes on at any position of repeated and taken data", async (t) => {
  const items = Dataset.from(numbers(23)).shuffle(1);
  const length = (item: number) => (item % 5) + 1;
  for (const dataset of [
    items.repeat(3),
    items.repeat(3).shuffle(8),
    items.repeat().take(60),
    items.bucketByLength({ length, batchTokens: 12, seed: 2 }, identity).repeat(2),
    items.repeat().batch(4).take(13),
    items
      .repeat()
      .map((item) => item + 1)
      .take(50)
      .filter((item) => item % 2 === 0),
    items.batch({ length, batchTokens: 11 }).repeat(2),
  ]) {
    t.true(dataset.resumable);
    for (const epoch of [0, 1]) {
      const whole = await all<unknown>(dataset, { epoch });
      t.true(whole.length > 10);
      for (let step = 0; step <= whole.length + 1; step++) {
        t.deepEqual(await all<unknown>(dataset, { epoch, step }), whole.slice(step));
      }
    }
  }
});

test("what would never end is refused", async (t) => {
  const endless = Dataset.from(numbers(3)).repeat();
  for (const [name, dataset] of [
    ["filter", endless.filter(() => true)],
    ["shuffle", endless.shuffle(1)],
    ["bucketByLength", endless.bucketByLength({ length: () => 1, batchSize: 2 }, identity)],
    ["batch", endless.batch({ length: () => 1, batchTokens: 2 })],
  ] as [string, Dataset<unknown>][]) {
    const message = new RegExp(`^${name}: the data are repeated without end`);
    await t.throwsAsync(dataset.iterate().next(), { instanceOf: StateError, message });
  }
  await t.throwsAsync(endless.split({ count: 1 }), { instanceOf: StateError, message: /^split/ });
  for (const empty of [Dataset.from([]), Dataset.fromIterable(() => [])]) {
    await t.throwsAsync(all(empty.repeat()), { instanceOf: DataError, message: /no items to repeat/ });
    t.deepEqual(await all(empty.repeat(2)), []);
  }
  await t.throwsAsync(all(Dataset.fromIterable(numbers(3)).repeat(2)), {
    instanceOf: StateError,
    message: /a function/,
  });
});

test("batches by tokens keep the order and are as large as the limit allows", async (t) => {
  const lengths = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(lengths, fc.boolean(), async (items, streamed) => {
      const dataset = streamed ? Dataset.fromIterable(() => items) : Dataset.from(items);
      const batches = await all(dataset.batch({ length: (item) => item, batchTokens: 40 }));
      t.deepEqual(batches.flat(), items);
      const tokens = (batch: number[]) => Math.max(...batch) * batch.length;
      for (const [index, batch] of batches.entries()) {
        t.true(batch.length > 0 && tokens(batch) <= 40);
        const next = batches[index + 1];
        if (next !== undefined) t.true(tokens([...batch, next[0]!]) > 40);
      }
    }),
  );
  const joined = Dataset.from([3, 1, 4]).batch({ length: (item) => item, batchTokens: 6 }, (items) => items.length);
  t.deepEqual(await all(joined), [2, 1]);
  await t.throwsAsync(all(Dataset.from([1, 7]).batch({ length: (item) => item, batchTokens: 6 })), {
    instanceOf: DataError,
    message: /length 7 .* 6 tokens/,
  });
  await t.throwsAsync(all(Dataset.from([1]).batch({ length: () => Number.NaN, batchTokens: 6 })), {
    instanceOf: DataError,
    message: /got NaN/,
  });
  for (const wrong of [{ length: () => 1 }, { batchTokens: 3 }, { length: () => 1, batchTokens: 0 }, null, 0]) {
    t.throws(() => Dataset.from([1]).batch(wrong as number), { instanceOf: OptionError });
  }
});
