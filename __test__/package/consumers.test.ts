import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

test("the packed package works for ESM, CommonJS and TypeScript under nodenext and bundler", (t) => {
  const script = fileURLToPath(new URL("../../scripts/consumers.mjs", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  t.is(status, 0, stdout + stderr);
  t.regex(stdout, /4 of 4 consumers work/);
});
