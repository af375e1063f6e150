// `npm run lint`: formatting, clippy, Biome, types, and two rules of this project that no linter knows.
import { readdirSync, readFileSync } from "node:fs";
import { install, run } from "./steps.mjs";

await install();
let failed = 0;
for (const command of [
  "cargo fmt --all --check",
  "cargo clippy --release --workspace --all-targets -- -D warnings",
  "biome check",
  "tsc",
]) {
  if ((await run(command)).code !== 0) failed += 1;
}

// An unguarded panic in an export ends the process.
const sources = readdirSync("crates/node/src").filter((name) => name.endsWith(".rs"));
for (const name of sources) {
  const binding = readFileSync(`crates/node/src/${name}`, "utf8");
  for (const [, options, item] of binding.matchAll(
    /#\[napi(\([^\]]*\))?\]\s*(?:#\[[^\]]*\]\s*)*pub (?:unsafe )?fn (\w+)/g,
  )) {
    if (!options?.includes("catch_unwind")) {
      process.stdout.write(`crates/node/src/${name}: ${item} lacks catch_unwind\n`);
      failed += 1;
    }
  }
}
process.exit(failed === 0 ? 0 : 1);
