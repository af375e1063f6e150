import test from "ava";
import { startScript } from "../helpers/run-command.ts";

for (const delay of [0, 5, 40, 150]) {
  test(`process.exit ${delay} ms into calls that run and wait ends with its status`, async (t) => {
    const { status, error } = await startScript("__test__/boundary/children/leave.ts", [`${delay}`]).ended;
    t.is(status, 7, error);
    t.is(error, "");
  });
}

test("the addon loads in several workers at once, and training in each gives the same bits", async (t) => {
  const { status, output, error } = await startScript("__test__/boundary/children/workers.ts", ["finish"]).ended;
  t.is(status, 0, error);
  const lines = output.trim().split("\n");
  t.is(lines.length, 4);
  t.regex(lines[0]!, /^0 [0-9a-f]{64}$/);
  t.is(new Set(lines).size, 1, output);
});

test("workers that are terminated in mid-step, again and again, leave the process alive", async (t) => {
  const args = ["terminate", "6"];
  const { status, output, error } = await startScript("__test__/boundary/children/workers.ts", args).ended;
  t.is(status, 0, error);
  t.is(output, "1 1 1 1\n".repeat(6));
});
