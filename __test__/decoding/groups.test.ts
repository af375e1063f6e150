import test from "ava";
import fc from "fast-check";
import { groupByLength } from "../../src/decoding/groups.ts";

test("each sequence is in one group, groups are full but for the last of their length", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), fc.integer({ min: 1, max: 5 }), fc.boolean(), (lengths, size, exact) => {
      const groups = groupByLength(lengths, size, exact);
      t.deepEqual(
        groups.flat().sort((a, b) => a - b),
        [...lengths.keys()],
      );
      t.true(groups.every((group) => group.length > 0 && group.length <= size));
      const kinds = (group: number[]) => new Set(group.map((index) => lengths[index]!));
      if (exact) t.true(groups.every((group) => kinds(group).size === 1));
      else t.is(groups.length, Math.ceil(lengths.length / size));
    }),
  );
});
