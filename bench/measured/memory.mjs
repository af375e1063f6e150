// Resident memory over many steps of changing shapes, and over models that are created and disposed of.
import { environment } from "sconce";
import { description, resident, serve } from "./serve.mjs";
import { trainSome } from "./small-steps.mjs";
import { textbook } from "./textbook.mjs";

const size = { vocabulary: 2000, dimension: 32, units: 64, masked: true };

await serve({
  describe: () => description(environment()),

  async steps({ from, to, every }) {
    const translator = textbook(size);
    const samples = [];
    for (let step = 1; step <= to; step++) {
      await trainSome(translator, step, size.vocabulary);
      if (step >= from && (step - from) % every === 0) samples.push({ step, residentMiB: resident() });
    }
    translator.dispose();
    return { samples };
  },

  async models({ from, to, every }) {
    const samples = [];
    for (let model = 1; model <= to; model++) {
      const translator = textbook(size);
      await trainSome(translator, 0, size.vocabulary);
      translator.dispose();
      if (model >= from && (model - from) % every === 0) samples.push({ model, residentMiB: resident() });
    }
    return { samples };
  },
});
