// Our side of `transformer-step`.
import { serveSteps } from "./step-worker.mjs";
import { transformer } from "./transformer.mjs";

await serveSteps(transformer);
