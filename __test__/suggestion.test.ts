import test from "ava";
import { nearest, suggestion } from "../src/suggestion.ts";

test("a misspelt name is near to what was meant, another is not", (t) => {
  const known = ["units", "embeddingDim", "dropout", "cell"];
  const cases: [string, string | undefined][] = [
    ["unit", "units"],
    ["untis", "units"],
    ["embedding_dim", "embeddingDim"],
    ["embeding-dim", "embeddingDim"],
    ["Dropout", "dropout"],
    ["sell", "cell"],
    ["epochs", undefined],
    ["", undefined],
    ["x".repeat(1000), undefined],
  ];
  for (const [given, expected] of cases) t.is(nearest(given, known), expected, given);
  t.is(suggestion("unit", known), "; did you mean units?");
  t.is(suggestion(5, known), "");
});
