import { ndarray } from "sconce";

const shapes = [
  [16, 12, 15],
  [16, 5, 7],
  [8, 20, 24],
  [32, 9, 9],
  [16, 17, 11],
  [1, 3, 4],
  [24, 12, 20],
  [13, 7, 18],
];

function ids(rows, length, step, vocabulary) {
  const data = Int32Array.from(
    { length: rows * length },
    (_, index) => 1 + ((index * 7919 + step * 104729) % (vocabulary - 1)),
  );
  return ndarray(data, [rows, length]);
}

/** A training step of a translator with ids below `vocabulary`, with a shape that depends on the step. */
export async function trainSome(translator, step, vocabulary) {
  const [rows, source, target] = shapes[step % shapes.length];
  const made = (length, seed) => ids(rows, length, seed, vocabulary);
  await translator.trainOnBatch([made(source, step), made(target, step + 1)], made(target, step + 2));
}
