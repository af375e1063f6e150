import { Seq2Seq, type Seq2SeqEnsemble, type WeightType } from "../index.ts";
import { type Arguments, listFlag, textFlag } from "./arguments.ts";
import { UsageError } from "./command.ts";

/** Flags that name translators which choose tokens together with the first. */
export const togetherFlags = {
  ensemble: { type: "string", multiple: true },
  "ensemble-weights": { type: "string" },
} as const;

/** What the help says of them. */
export const togetherHelp = `\
  --ensemble DIR           another translator that chooses tokens together with the first; may be repeated
  --ensemble-weights A,B   weights of the translators, the first included, default all the same
`;

/** Translators that are disposed of at the end. */
export class Loaded {
  readonly #all: Seq2Seq[] = [];

  /** The translator of a folder, or several that choose tokens together, as the flags say. */
  async load(folder: string, args: Arguments, dtype: WeightType): Promise<Seq2Seq | Seq2SeqEnsemble> {
    const weights = weightsFlag(args);
    for (const each of [folder, ...listFlag(args, "ensemble")]) this.#all.push(await Seq2Seq.load(each, { dtype }));
    if (this.#all.length === 1 && weights === undefined) return this.#all[0]!;
    return Seq2Seq.ensemble(this.#all, weights === undefined ? {} : { weights });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#all) one.dispose();
  }
}

/** Numbers with commas between them. */
function weightsFlag(args: Arguments): number[] | undefined {
  return textFlag(args, "ensemble-weights")
    ?.split(",")
    .map((text) => {
      const weight = text.trim() === "" ? Number.NaN : Number(text);
      if (Number.isFinite(weight) && weight > 0) return weight;
      throw new UsageError(
        `--ensemble-weights must be numbers above 0 with commas between them, got ${textFlag(args, "ensemble-weights")}`,
      );
    });
}
