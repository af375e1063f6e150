import test from "ava";
import { DataError, Dataset, StateError } from "../../src/index.ts";

/** Keeps items as `mapTogether` wants it. */
class Store {
  readonly items: number[] = [];
  get length(): number {
    return this.items.length;
  }
  push(item: number): void {
    this.items.push(item);
  }
  at(index: number): number {
    return this.items[index]!;
  }
}

async function all<T>(data: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of data) items.push(item);
  return items;
}

const numbers = Array.from({ length: 11 }, (_, index) => index);

/** Ten times each number, and how many were changed in each call. */
function tenfold(data: Dataset<number>): { data: Dataset<number>; calls: number[] } {
  const calls: number[] = [];
  const change = async (items: readonly number[]) => {
    calls.push(items.length);
    return items.map((item) => 10 * item);
  };
  return { data: data.mapTogether(4, change, () => new Store()), calls };
}

test("lists and streams are changed in groups, and come out in order", async (t) => {
  const expected = numbers.map((number) => 10 * number);
  for (const source of [Dataset.from(numbers), Dataset.fromIterable(() => numbers)]) {
    const { data, calls } = tenfold(source);
    t.deepEqual(await all(data), expected);
    t.deepEqual(calls, [4, 4, 3]);
  }
  t.deepEqual(await all(tenfold(Dataset.from<number>([])).data), []);
  t.deepEqual(await all(tenfold(Dataset.fromIterable<number>([])).data), []);
});

test("a list is changed once for each epoch, and reading goes on at any position", async (t) => {
  const { data, calls } = tenfold(Dataset.from(numbers).shuffle(5));
  const first = await all(data.iterate({ epoch: 0 }));
  t.deepEqual(await all(data.iterate({ epoch: 0, step: 7 })), first.slice(7));
  t.is(calls.length, 3);
  const second = await all(data.iterate({ epoch: 1 }));
  t.is(calls.length, 6);
  t.notDeepEqual(second, first);
  t.deepEqual(
    second.toSorted((a, b) => a - b),
    first.toSorted((a, b) => a - b),
  );
});

test("what fails, or never ends, is an error", async (t) => {
  const failing = Dataset.from(numbers).mapTogether(
    4,
    async () => Promise.reject(new DataError("no")),
    () => new Store(),
  );
  await t.throwsAsync(all(failing), { instanceOf: DataError, message: "no" });
  await t.throwsAsync(all(tenfold(Dataset.from(numbers).repeat()).data), {
    instanceOf: StateError,
    message: /without end/,
  });
});
