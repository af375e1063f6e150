import test from "ava";
import { hasColours, styled } from "../../src/cli/style.ts";

test("colours are for terminals, unless NO_COLOR is set", (t) => {
  const terminal = { isTTY: true };
  t.is(styled(terminal, "red", "no", {}), "\u001b[31mno\u001b[39m");
  t.is(styled({}, "red", "no", {}), "no");
  t.is(styled({ isTTY: false }, "bold", "no", {}), "no");
  t.is(styled(terminal, "dim", "no", { NO_COLOR: "1" }), "no");
  t.is(styled(terminal, "green", "no", { TERM: "dumb" }), "no");
  t.true(hasColours(terminal, { NO_COLOR: "" }));
});
