// Our side of `transformer-step`: transformer-step.mjs [bfloat16].
import { serveSteps } from "./step-worker.mjs";
import { transformer } from "./transformer.mjs";

const mixedPrecision = process.argv[2] === "bfloat16" && "bfloat16";
await serveSteps((described) => transformer({ ...described, mixedPrecision }));
