import { join } from "node:path";
import { formulaValues } from "../__test__/helpers/formula-weights.ts";
import { fixedLength, type Ids, type StepCase, sentences, sizeOf, write } from "./lstm-step-cases.ts";

/** As a case of `lstm-step`, with another encoder and decoder. */
export interface RnnStepCase extends StepCase {
  /**
   * `gru`: the encoder's state begins the decoder. `bidirectional`: the sums of the states of an LSTM in both directions
   * begin an LSTM. Weights have Keras' order and layouts.
   */
  kind: "gru" | "bidirectional";
}

const vocabulary = 8000;
const dimension = 50;
const units = 256;

const cases: Record<string, { kind: RnnStepCase["kind"]; masked: boolean; batches(): Ids[][] }> = {
  gru: { kind: "gru", masked: false, batches: () => fixedLength(vocabulary) },
  "gru-tatoeba": { kind: "gru", masked: true, batches: () => sentences(vocabulary, false) },
  bidirectional: { kind: "bidirectional", masked: false, batches: () => fixedLength(vocabulary) },
  "bidirectional-tatoeba": { kind: "bidirectional", masked: true, batches: () => sentences(vocabulary, false) },
};

/** Names of all cases. */
export const rnnCaseNames = Object.keys(cases);

const gru = [
  [dimension, 3 * units],
  [units, 3 * units],
  [2, 3 * units],
];
const lstm = [[dimension, 4 * units], [units, 4 * units], [4 * units]];
const recurrent = { gru: [...gru, ...gru], bidirectional: [...lstm, ...lstm, ...lstm] };

/** Writes the files of a case into a folder. */
export function writeRnnCase(name: string, folder: string): RnnStepCase {
  const { kind, masked, batches } = cases[name]!;
  const shapes = [[vocabulary, dimension], ...recurrent[kind], [units, vocabulary], [vocabulary]];
  const weights = shapes.map((shape, index) => ({ shape, data: formulaValues(index + 1, sizeOf(shape), 0.05) }));
  const weightsFile = join(folder, `${name}.weights`);
  const idsFile = join(folder, `${name}.ids`);
  const places = write(idsFile, batches().flat());
  return {
    kind,
    vocabulary,
    dimension,
    units,
    masked,
    weights: write(weightsFile, weights),
    weightsFile,
    batches: Array.from({ length: places.length / 3 }, (_, index) => places.slice(3 * index, 3 * index + 3)),
    idsFile,
  };
}
