// CommonJS: works because nothing in the package awaits at top level.
const sconce = require("sconce");
const { check } = require("./check.mjs");

check(sconce);
