import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { startScript } from "../helpers/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-examples-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

async function example(name: string, args: string[]): Promise<{ printed: string; result: Record<string, unknown> }> {
  const { status, output, error } = await startScript(`examples/${name}.ts`, [...args, "--json"]).ended;
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${error}${output.slice(-2000)}`);
  return { printed: output, result: JSON.parse(output.trimEnd().split("\n").at(-1)!) as Record<string, unknown> };
}

test.serial("captions are learnt in a short form: log, kept models and their mean", async (t) => {
  const out = join(folder, "run");
  const { printed, result } = await example("multi30k", ["--quick", "--out", out]);
  t.like(result, { updates: 40, direction: "en-de", numBeams: 5 });
  t.true((result.averaged as { beams: { bleu: number } }).beams.bleu >= 0);
  t.regex(String(result.signature), /^nrefs:1\|case:lc\|eff:no\|tok:13a\|smooth:exp\|version:sconce-/);
  const log = readFileSync(join(out, "log.jsonl"), "utf8").trimEnd().split("\n");
  const lines = log.map((line) => JSON.parse(line) as Record<string, number>);
  t.deepEqual(
    lines.slice(0, -1).map(({ updates }) => updates),
    [20, 40],
  );
  t.true(lines[1]!.valLoss! < lines[0]!.valLoss! && lines[1]!.valBleu! >= 0);
  t.deepEqual((lines[2] as unknown as { results: unknown }).results, result);
  t.deepEqual(readdirSync(join(out, "models")).sort(), ["0001", "0002"]);
  t.true(existsSync(join(out, "average", "seq2seq.json")));
  t.is(printed.match(/^ {4}translation /gm)?.length, 3);
});

test.serial("captions are learnt by recurrent layers that attend", async (t) => {
  for (const [model, attention] of [
    ["gru", "bahdanau"],
    ["lstm", "luong"],
  ] as const) {
    const out = join(folder, model);
    const { result } = await example("multi30k", ["--quick", "--model", model, "--attention", attention, "--out", out]);
    t.like(result, { updates: 40, model, attention });
    const log = readFileSync(join(out, "log.jsonl"), "utf8").trimEnd().split("\n");
    const [first, second] = log.map((line) => JSON.parse(line) as Record<string, number>);
    t.true(second!.valLoss! < first!.valLoss!);
  }
  const { status, output } = await startScript("examples/multi30k.ts", ["--help"]).ended;
  t.is(status, 0);
  t.regex(output, /--attention NAME .*bahdanau, luong/);
  const refused = await startScript("examples/multi30k.ts", ["--attention", "luong"]).ended;
  t.is(refused.status, 2);
  t.regex(refused.error, /--attention is for --model gru and --model lstm/);
});

test.serial("captions that are not there are asked for by name", async (t) => {
  const { status, error } = await startScript("examples/multi30k.ts", ["--data", folder]).ended;
  t.is(status, 2);
  t.regex(error, /has neither multi30k-en-de\.train\.tsv\.gz.*github\.com\/multi30k\/dataset/);
});

test.serial("two models are compared in a short form", async (t) => {
  const { printed, result } = await example("tatoeba-zh", ["--quick"]);
  const [lower, upper] = result.interval as [number, number];
  t.true(lower <= upper && Number(result.pValue) > 0 && Number(result.pValue) <= 1);
  t.regex(String(result.signature), /^nrefs:1\|bs:1000\|seed:1\|case:mixed\|eff:no\|tok:zh\|/);
  t.is(printed.match(/difference -?\d+\.\d\d, 95 % of the samples from/g)?.length, 4);
  t.regex(printed, /5 beams, BLEU of 60 sentences/);
});
