import test from "ava";
import { environment, OptionError } from "../../src/index.ts";
import { checkMixedPrecision } from "../../src/training/mixed-precision.ts";

test("bfloat16 is refused with what is missing, on a CPU that has it and on one that has not", (t) => {
  const refused = (value: unknown, message: RegExp, has?: boolean) => {
    t.throws(() => checkMixedPrecision("fit", value, has), { instanceOf: OptionError, message });
  };
  refused("bfloat16", /needs a CPU with avx512_bf16, which this one has not: leave mixedPrecision out/, false);
  refused("bfloat16", /not there yet, although this CPU has avx512_bf16: leave mixedPrecision out/, true);
  refused("bfloat16", environment().bfloat16 ? /not there yet/ : /needs a CPU/);
  refused("float16", /must be false or "bfloat16", got "float16"/);
  refused(true, /must be false or "bfloat16", got true/);
  t.notThrows(() => checkMixedPrecision("fit", false));
  t.notThrows(() => checkMixedPrecision("fit", undefined));
});
