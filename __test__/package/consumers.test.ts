import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

test("the packed package works for ESM, CommonJS, TypeScript under nodenext and bundler, and on the command line", (t) => {
  const script = fileURLToPath(new URL("../../scripts/consumers.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  t.is(status, 0, stdout + stderr);
  t.regex(stdout, /5 of 5 consumers work/);
});
