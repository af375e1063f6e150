import test from "ava";
import { environment } from "../src/index.ts";

test("the addon names its version, threads and a SIMD path that the machine has", (t) => {
  const facts = environment();
  t.regex(facts.version, /^\d+\.\d+\.\d+/);
  t.true(facts.threads >= 1);
  t.true(facts.simdAvailable.includes(facts.simd));
  if (facts.bfloat16) t.true(facts.simdAvailable.includes("avx512"));
  else t.false(facts.bfloat16);
});
