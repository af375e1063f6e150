import { type Environment, environment, input, layers, model } from "sconce";

export async function program(): Promise<void> {
  const facts: Environment = environment();
  const ids = input({ shape: [null], dtype: "int32" });
  const embedded = layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true })(ids);
  const [sequence, stateH] = layers.lstm({ units: 4, returnSequences: true, returnState: true })(embedded);
  const words = layers.dense({ units: 5, activation: "softmax" })(sequence);
  const tagger = model({ inputs: ids, outputs: [words, stateH] });
  await tagger.build();
  await tagger.predict([
    [1, 2, 3],
    [4, 1, 0],
  ]);
  tagger.dispose();
  console.log(facts.version.length > 0 ? "works" : "no version");
}

/** Never called: the types must not have got lost on the way. */
export function misspelt(): void {
  // @ts-expect-error
  layers.dense({ unit: 5 });
}

void program();
