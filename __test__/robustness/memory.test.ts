import test from "ava";
import { startScript } from "../helpers/run-command.ts";

async function growth(mode: "dispose" | "keep"): Promise<number> {
  const { status, output, error } = await startScript("__test__/robustness/children/models.ts", [mode]).ended;
  if (status !== 0) throw new Error(error);
  const { before, after } = JSON.parse(output) as { before: number; after: number };
  return after - before;
}

test("models that were disposed of leave nothing behind, those that are kept do", async (t) => {
  const disposed = await growth("dispose");
  const kept = await growth("keep");
  t.log(`30 models: ${disposed.toFixed(1)} MiB after dispose, ${kept.toFixed(1)} MiB if kept`);
  // Kept ones take at least weights and optimiser's state: 2 x 2.8 MiB each.
  t.true(kept > 80, `kept: ${kept} MiB`);
  t.true(disposed < 30, `disposed of: ${disposed} MiB`);
});
