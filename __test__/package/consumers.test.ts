import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

test("the packed package works for ESM, CommonJS, TypeScript under nodenext and bundler, on the command line and as README says", (t) => {
  const script = fileURLToPath(new URL("../../scripts/consumers.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  t.is(status, 0, stdout + stderr);
  t.regex(stdout, /^README's first steps: work as printed$/m);
  t.regex(stdout, /6 of 6 consumers work/);
});
