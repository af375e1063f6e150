/** Reads a table and two files to their ends and prints the pairs and characters of each as JSON. */
import { streamParallelText } from "../../../../src/data/readers/parallel-text.ts";

const [table, source, target] = process.argv.slice(2) as [string, string, string];
const results: { pairs: number; characters: number }[] = [];
for (const place of [table, [source, target]] as const) {
  let pairs = 0;
  let characters = 0;
  for await (const pair of streamParallelText(place)) {
    pairs += 1;
    characters += pair.source.length + pair.target.length;
  }
  results.push({ pairs, characters });
}
console.log(JSON.stringify(results));
