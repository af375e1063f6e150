// Versions and machine as our side sees them.
import { environment } from "sconce";
import { description, serve } from "./serve.mjs";

await serve({ describe: () => description(environment()) });
