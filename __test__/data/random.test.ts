import test from "ava";
import fc from "fast-check";
import { permutation, philox } from "../../src/data/random.ts";
import { OptionError } from "../../src/errors.ts";

test("Philox gives the published numbers", (t) => {
  // Known answers of the Random123 library for philox4x32, 10 rounds.
  const ones = 0xffffffff;
  t.deepEqual(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  t.deepEqual(philox([ones, ones, ones, ones], [ones, ones]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  t.deepEqual(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

test("a permutation holds each index once and repeats for the same seed and epoch", (t) => {
  fc.assert(
    fc.property(fc.nat(300), fc.maxSafeNat(), fc.nat(1000), (length, seed, epoch) => {
      const order = permutation(seed, epoch, length);
      t.deepEqual(
        [...order].sort((a, b) => a - b),
        Array.from({ length }, (_, index) => index),
      );
      t.deepEqual(permutation(seed, epoch, length), order);
    }),
  );
  t.notDeepEqual(permutation(1, 0, 50), permutation(1, 1, 50));
  t.notDeepEqual(permutation(1, 0, 50), permutation(2, 0, 50));
  t.notDeepEqual(permutation(1, 0, 50), permutation(1 + 2 ** 32, 0, 50));
});

test("every item comes to every place about equally often", (t) => {
  const counts = Array.from({ length: 6 }, () => new Array<number>(6).fill(0));
  const rounds = 6000;
  for (let epoch = 0; epoch < rounds; epoch++) {
    for (const [place, item] of permutation(11, epoch, 6).entries()) counts[place]![item]! += 1;
  }
  // Five standard deviations of a binomial count around its mean of 1000.
  for (const count of counts.flat()) t.true(Math.abs(count - rounds / 6) < 150, String(count));
});

test("bad seeds are refused", (t) => {
  for (const seed of [-1, 0.5, Number.NaN, 2 ** 53])
    t.throws(() => permutation(seed, 0, 3), { instanceOf: OptionError });
});
