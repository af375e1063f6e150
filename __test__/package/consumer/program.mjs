// ECMAScript module.
import { check } from "./check.mjs";

await check(await import("sconce"));
