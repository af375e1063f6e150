import test from "ava";
import { sconce, startScript } from "../helpers/run-command.ts";

test("doctor finds out what works, as text and as JSON", async (t) => {
  const text = await sconce(["doctor"]);
  t.is(text.status, 0, text.output);
  t.regex(text.output, /all is well\n$/);
  const { status, output } = await sconce(["doctor", "--json"]);
  t.is(status, 0);
  const findings = JSON.parse(output) as { problems: string[]; threads: number; training: Record<string, number> };
  t.deepEqual(findings.problems, []);
  t.true(findings.threads >= 1);
  t.true(findings.training.last! < findings.training.first!);
});

test("the built program works as the sources do", async (t) => {
  const { status, output, error } = await startScript("dist/cli/main.js", ["doctor"]).ended;
  t.is(status, 0, `${output}${error}: is it built? npm run build:typescript`);
});
