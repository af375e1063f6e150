import test from "ava";
import { environment, OptionError } from "../../src/index.ts";
import { checkMixedPrecision } from "../../src/training/mixed-precision.ts";

const able = { bfloat16: true, simd: "avx512", simdAvailable: ["scalar", "avx2", "avx512"] };
const unable = { bfloat16: false, simd: "avx2", simdAvailable: ["scalar", "avx2"] };
const forced = { ...able, bfloat16: false, simd: "avx2" };

test("bfloat16 is taken where the processor has it, and refused elsewhere with what is missing", (t) => {
  const refused = (value: unknown, message: RegExp, machine = able) => {
    t.throws(() => checkMixedPrecision("fit", value, machine), { instanceOf: OptionError, message });
  };
  refused("bfloat16", /needs a CPU with avx512_bf16, which this one has not: leave mixedPrecision out/, unable);
  refused("bfloat16", /needs a CPU with avx512_bf16, which SCONCE_SIMD=avx2 leaves out/, forced);
  refused("float16", /must be false or "bfloat16", got "float16"/);
  refused(true, /must be false or "bfloat16", got true/);
  t.is(checkMixedPrecision("fit", "bfloat16", able), "bfloat16");
  for (const machine of [able, unable]) {
    t.is(checkMixedPrecision("fit", false, machine), false);
    t.is(checkMixedPrecision("fit", undefined, machine), false);
  }
});

test("this machine is asked by default", (t) => {
  if (environment().bfloat16) t.is(checkMixedPrecision("fit", "bfloat16"), "bfloat16");
  else t.throws(() => checkMixedPrecision("fit", "bfloat16"), { instanceOf: OptionError });
});
