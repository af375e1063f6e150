// Our side of `lstm-step`.
import { serveSteps } from "./step-worker.mjs";
import { textbook } from "./textbook.mjs";

await serveSteps(textbook);
