import { Seq2Seq, type Tokenizer } from "../index.ts";
import { checkPositionals, readArguments } from "./arguments.ts";
import type { Command, Streams } from "./command.ts";

const help = `Usage: sconce inspect DIR [--json]

Shows what a saved model is made of: layers with shapes and parameters, tokenizers, and how decoding treats each layer
(once for a text; pointwise, for each token alone; recurrent or causal, with what it carries along).

Example: sconce inspect runs/en-zh

  DIR         a folder that sconce train or Seq2Seq.save wrote
  --json      print one JSON object
  -h, --help  this text
`;

export const inspect: Command = {
  help,
  async run(args: readonly string[], { output }: Streams): Promise<number> {
    const parsed = readArguments(args, { json: { type: "boolean" } });
    if (parsed.help) {
      output.write(help);
      return 0;
    }
    checkPositionals(parsed, ["DIR"], 1);
    await using translator = await Seq2Seq.load(parsed.positionals[0]!);
    const { model, source, target } = translator;
    const decoder = translator.decoderNodes();
    if (parsed.values.json === true) {
      const layers = model.layers.map((layer) => ({
        name: layer.name,
        type: layer.type,
        parameters: layer.countParams(),
      }));
      const sides = { source: describe(source), target: describe(target) };
      output.write(`${JSON.stringify({ parameters: model.countParams(), layers, ...sides, decoder })}\n`);
      return 0;
    }
    const lines = [model.summary({ print: () => {} })];
    for (const [side, tokenizer] of [["source", source] as const, ["target", target] as const]) {
      const { type, size, lowercase } = describe(tokenizer);
      lines.push(`${side}: ${type} tokenizer with ${size} tokens${lowercase ? ", lower case" : ""}`);
    }
    for (const { layer, treatment } of decoder) lines.push(`decoding ${layer}: ${treatment}`);
    output.write(`${lines.join("\n")}\n`);
    return 0;
  },
};

function describe({ type, vocabulary, lowercase }: Tokenizer): { type: string; size: number; lowercase: boolean } {
  return { type, size: vocabulary.size, lowercase };
}
