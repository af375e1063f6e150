import test from "ava";
import { type RougeOptions, type RougeType, type RougeValues, rouge } from "../../../src/index.ts";
import { aggregated } from "../../../src/metrics/rouge/rouge.ts";
import type { SegmentTable } from "../../../src/metrics/text/text-metric.ts";
import { goldenMetrics, near, sumsOver } from "../../helpers/metrics.ts";

type Values = [precision: number, recall: number, fmeasure: number];

interface Case {
  hypotheses: string[];
  references: string[][];
  options: Omit<RougeOptions, "types">;
  scores: Record<RougeType, Values>;
  share?: number;
  indices?: number[][];
  ranges?: Record<RougeType, Record<"low" | "mid" | "high", Values>>;
}

const cases = goldenMetrics<Case[]>("rouge.json");

const alike = ({ precision, recall, fmeasure }: RougeValues, expected: Values) =>
  [precision, recall, fmeasure].every((value, index) => near(value, expected[index]!));

test("random texts have the precision, recall and F1 of rouge-score", (t) => {
  for (const [number, { hypotheses, references, options, scores: expected }] of cases.entries()) {
    const types = Object.keys(expected) as RougeType[];
    const { scores } = rouge(hypotheses, references, { ...options, types });
    for (const type of types) {
      const message = `case ${number}, ${type}: ${JSON.stringify(scores[type])} instead of ${expected[type]}`;
      t.true(alike(scores[type]!, expected[type]), message);
    }
  }
});

test("given samples have the ranges of rouge-score", (t) => {
  let count = 0;
  for (const { hypotheses, references, options, share, indices = [], ranges } of cases) {
    if (ranges === undefined || share === undefined) continue;
    const types = Object.keys(ranges) as RougeType[];
    const sums = (table: SegmentTable) => sumsOver(table, indices);
    const found = aggregated(hypotheses, references, { ...options, types }, sums, share);
    for (const type of types) {
      for (const end of ["low", "mid", "high"] as const) {
        t.true(alike(found[type]![end], ranges[type][end]), `${type} ${end}`);
        count += 1;
      }
    }
  }
  t.true(count > 100);
});
