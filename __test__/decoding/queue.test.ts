import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import fc from "fast-check";
import { DecodingQueue, type QueueOptions } from "../../src/decoding/queue.ts";

interface Options extends QueueOptions {
  readonly maxNewTokens: number;
}

const standard: Options = { maxNewTokens: 5, batchSize: 4, signal: undefined };
const sources = (...lengths: number[]) => lengths.map((length) => new Int32Array(length).fill(length));

/** A queue over a decoder that gives back what it reads, and the batches that it was asked for. */
function echo(exact = false, milliseconds = 1) {
  const batches: { lengths: number[]; maxNewTokens: number }[] = [];
  const decode = async (read: readonly Int32Array[], { maxNewTokens }: Options, signal: AbortSignal) => {
    batches.push({ lengths: read.map(({ length }) => length), maxNewTokens });
    await sleep(milliseconds, undefined, { signal });
    return read.map((ids) => ({ ids, score: -ids.length * maxNewTokens }));
  };
  const queue = new DecodingQueue(decode, exact ? ({ length }) => length : () => 0);
  return { queue, batches };
}

test("every source gets its row, in batches that keep to size, kind and, if wanted, equal length", async (t) => {
  const call = fc.record({
    lengths: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 9 }),
    maxNewTokens: fc.integer({ min: 1, max: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 6 }), fc.boolean(), async (calls, exact) => {
      const { queue, batches } = echo(exact);
      const results = await Promise.all(
        calls.map(({ lengths, maxNewTokens }) => queue.decode(sources(...lengths), { ...standard, maxNewTokens })),
      );
      for (const [index, { lengths, maxNewTokens }] of calls.entries()) {
        t.deepEqual(
          results[index],
          sources(...lengths).map((ids) => ({ ids, score: -ids.length * maxNewTokens })),
        );
      }
      for (const { lengths } of batches) {
        t.true(lengths.length > 0 && lengths.length <= standard.batchSize);
        if (exact) t.is(new Set(lengths).size, 1);
      }
      t.is(batches.flatMap(({ lengths }) => lengths).length, calls.flatMap(({ lengths }) => lengths).length);
      if (!exact && new Set(calls.map(({ maxNewTokens }) => maxNewTokens)).size === 1) {
        t.is(batches.length, Math.ceil(calls.flatMap(({ lengths }) => lengths).length / standard.batchSize));
      }
    }),
    { numRuns: 60, seed: 2 },
  );
});

test("calls that arrive while a batch computes are joined, and a short call does not wait for all of a long one", async (t) => {
  const { queue, batches } = echo();
  const ended: string[] = [];
  const long = queue.decode(sources(...new Array<number>(40).fill(3)), standard).then(() => ended.push("long"));
  await sleep(0);
  const short = [1, 2, 3, 4].map((length) =>
    queue.decode(sources(length), { ...standard, maxNewTokens: 6 }).then(() => ended.push("short")),
  );
  await Promise.all([long, ...short]);
  t.deepEqual(ended, ["short", "short", "short", "short", "long"]);
  t.is(batches.length, 11);
});

test("a signal ends its own call only; the batch is cancelled when nobody waits for it", async (t) => {
  const { queue, batches } = echo(false, 50);
  const reason = new Error("enough");
  const first = new AbortController();
  const second = new AbortController();
  const [a, b, c] = [
    queue.decode(sources(1), { ...standard, signal: first.signal }),
    queue.decode(sources(2), standard),
    queue.decode(sources(3), { ...standard, maxNewTokens: 1_000_000, signal: second.signal }),
  ];
  await sleep(10);
  first.abort(reason);
  t.is(await t.throwsAsync(a), reason);
  t.is((await b)[0]!.ids.length, 2);
  await sleep(10);
  second.abort(reason);
  t.is(await t.throwsAsync(c), reason);
  t.is(batches.length, 2);
  t.is(await t.throwsAsync(queue.decode(sources(1), { ...standard, signal: first.signal })), reason);
  t.is((await queue.decode(sources(4), standard))[0]!.ids.length, 4);
});

test("a failure reaches the calls of its batch, and the queue goes on", async (t) => {
  const failure = new Error("no memory");
  let calls = 0;
  const decode = async (read: readonly Int32Array[], _options: Options) => {
    calls += 1;
    if (calls === 1) throw failure;
    return read.map((ids) => ({ ids, score: 0 }));
  };
  const queue = new DecodingQueue(decode, () => 0);
  const both = [queue.decode(sources(1), standard), queue.decode(sources(2), standard)];
  for (const call of both) t.is(await t.throwsAsync(call), failure);
  t.is((await queue.decode(sources(3), standard)).length, 1);
  t.is(calls, 2);
});
