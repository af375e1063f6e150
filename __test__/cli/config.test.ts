import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test from "ava";
import { parse } from "yaml";
import { checkAgainst } from "../../src/cli/config/check.ts";
import {
  type Override,
  type RecurrentConfig,
  type ResolvedConfig,
  resolveConfig,
} from "../../src/cli/config/config.ts";
import { parseConfig, readConfigFile } from "../../src/cli/config/file.ts";
import { flattened, valueAt } from "../../src/cli/config/places.ts";
import { configSchema, schemaPaths } from "../../src/cli/config/schema.ts";
import { FileError, FormatError, OptionError } from "../../src/errors.ts";
import { Seq2Seq } from "../../src/index.ts";
import { sconce } from "../helpers/run-command.ts";

const folder = mkdtempSync(join(tmpdir(), "sconce-config-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const file = "examples/config/reference.yaml";
const reference = readFileSync(file, "utf8");
const minimal = { data: { train: "train.tsv" }, out: "run" };

/** A configuration in YAML, with flags. */
function resolved(text: string, overrides: Override[] = []) {
  return resolveConfig("config.yaml", parseConfig("config.yaml", text), overrides);
}

const recurrent = ({ model }: ResolvedConfig) => model as RecurrentConfig;

test("the reference holds every place that there is and no other, and the defaults", (t) => {
  const active = parseConfig(file, reference);
  const full: unknown = parse(reference.replace(/^( *)#(?=[a-zA-Z])/gm, "$1"));
  t.notThrows(() => checkAgainst(configSchema, full, String));
  const places = schemaPaths();
  t.true(places.length > 45);
  t.deepEqual(
    places.filter((place) => valueAt(full, place) === undefined),
    [],
  );
  const isPlace = (path: string) => places.some((place) => path === place || path.startsWith(`${place}.`));
  t.deepEqual(
    [...flattened(full).keys()].filter((path) => !isPlace(path)),
    [],
  );
  const { train } = active.data as { train: string };
  t.deepEqual(resolveConfig(file, active, []), resolveConfig(file, { out: active.out, data: { train } }, []));
});

test("YAML and JSON say the same; paths are relative to the file, those of flags to the working folder", async (t) => {
  const yaml = join(folder, "a.yaml");
  const json = join(folder, "a.json");
  const fields = {
    ...minimal,
    model: { units: 8, sourceEmbeddings: "glove:./v.100d.txt" },
    training: { optimizer: "sgd" },
  };
  writeFileSync(json, JSON.stringify(fields));
  writeFileSync(
    yaml,
    "out: run\ndata: {train: train.tsv}\nmodel:\n  units: 8\n  sourceEmbeddings: glove:./v.100d.txt\ntraining: {optimizer: sgd}\n",
  );
  const [one, two] = await Promise.all([readConfigFile(yaml), readConfigFile(json)]);
  t.deepEqual(one, two);
  const config = resolveConfig(json, two, [{ flag: "--valid", path: "data.valid", value: "valid.tsv" }]);
  t.is(config.out, join(folder, "run"));
  t.is(config.data.train, join(folder, "train.tsv"));
  t.is(config.data.valid, resolve("valid.tsv"));
  t.is(recurrent(config).sourceEmbeddings, `glove:${join(folder, "v.100d.txt")}`);
  t.is(recurrent(config).embeddingDim, 100);
  t.true(config.tokenizers.source.lowercase);
  t.deepEqual(config.training.optimizer, { type: "sgd" });
  t.is(
    recurrent(resolveConfig(json, { ...two, model: { sourceEmbeddings: "glove:50d" } }, [])).sourceEmbeddings,
    "glove:50d",
  );
  const twice = resolveConfig("elsewhere/config.yaml", parse(JSON.stringify(config)), []);
  t.deepEqual(twice, config);
});

test("flags win over the file, also within an optimiser that the file only names", (t) => {
  const text = "out: run\ndata: {train: a}\nmodel: {units: 8}\ntraining: {optimizer: rmsprop, epochs: 3}\n";
  const { model, training } = resolved(text, [
    { flag: "--units", path: "model.units", value: 16 },
    { flag: "--learning-rate", path: "training.optimizer.learningRate", value: 0.5 },
  ]);
  t.is((model as RecurrentConfig).units, 16);
  t.is(training.epochs, 3);
  t.deepEqual(training.optimizer, { type: "rmsprop", learningRate: 0.5 });
});

const start = "out: run\ndata: {train: a}\n";

test("a Transformer has the options that are said, and no defaults of recurrent models", (t) => {
  const text = `${start}tokenizers: {joint: true}\nmodel: {type: transformer, preset: transformer-tiny, heads: 8, tiedEmbeddings: all, recompute: true, slidingWindow: [64, null], logitSoftCap: 50, useGate: true}\n`;
  const config = resolved(text, [{ flag: "--dropout", path: "model.dropout", value: 0.2 }]);
  const limits = { slidingWindow: [64, null], logitSoftCap: 50, useGate: true };
  const said = { preset: "transformer-tiny", heads: 8, tiedEmbeddings: "all", recompute: true, ...limits };
  const model = { type: "transformer", ...said, dropout: 0.2 };
  t.deepEqual(config.model, model as ResolvedConfig["model"]);
  t.deepEqual(resolveConfig("config.yaml", parse(JSON.stringify(config)), []), config);
});

const mistakes: [text: string, message: string | RegExp][] = [
  ["", /^config.yaml: data is missing; and 1 more mistake$/],
  ["- a", /expected an object with options/],
  ["out: [", /^config.yaml is no YAML \(.* at line 1, column \d+\)$/],
  ["a: 1\na: 2", /no YAML \(Map keys must be unique at line 2/],
  [`${start}modle: {}`, "config.yaml: modle is unknown; did you mean model?"],
  [
    `${start}model: {type: transformer, units: 8}`,
    "config.yaml: model.units is an option of models of type recurrent, got type transformer",
  ],
  [
    `${start}model: {heads: 8}`,
    "config.yaml: model.heads is an option of models of type transformer, got type recurrent",
  ],
  [`${start}model: {type: transformer, tiedEmbeddings: true}`, /expected false, inputs, target or all/],
  [`${start}model: {tiedEmbeddings: all}`, /config.yaml: model.tiedEmbeddings: expected true or false, got "all"/],
  [`${start}model: {type: transformer, tiedEmbeddings: all}`, /model.tiedEmbeddings needs tokenizers.joint: true/],
  [`${start}model: {type: transformers}`, /expected one of recurrent, transformer, got "transformers"/],
  [
    `${start}tokenizers: {source: {type: bpe}}\ntraining: {subwordRegularization: {target: {dropout: 0.1}}}`,
    /training.subwordRegularization.target: a tokenizer of type word cannot cut texts at random/,
  ],
  [
    `${start}tokenizers: {joint: true, source: {type: bpe}}\ntraining: {subwordRegularization: {target: {alpha: 0.1}}}`,
    "config.yaml: training.subwordRegularization.target: a tokenizer of type bpe takes dropout",
  ],
  [
    `${start}training: {subwordRegularization: {source: {dropout: 2}}}`,
    "config.yaml: training.subwordRegularization.source.dropout: expected a number from 0 to 1, got 2",
  ],
  [
    `${start}tokenizers: {target: {type: character, chineseWords: true}}`,
    "config.yaml: tokenizers.target.chineseWords: a tokenizer of type character has no words",
  ],
  [`${start}model: {unit: 5}`, "config.yaml: model.unit is unknown; did you mean units?"],
  [`${start}model: {embedding_dim: 5}`, "config.yaml: model.embedding_dim is unknown; did you mean embeddingDim?"],
  [
    `${start}validation: {colour: 5}`,
    "config.yaml: validation.colour is unknown; known are every, samples, metrics, pairs, monitor",
  ],
  [`${start}model: {units: many}`, 'config.yaml: model.units: expected an integer of at least 1, got "many"'],
  [`${start}model: {units: 0}`, "config.yaml: model.units: expected an integer of at least 1, got 0"],
  [`${start}model: {units: .inf}`, /model.units: expected an integer/],
  [`${start}model: {dropout: 1}`, "config.yaml: model.dropout: expected a number from 0 to below 1, got 1"],
  [
    `${start}model: {cell: ltsm}`,
    'config.yaml: model.cell: expected one of lstm, gru, simple, got "ltsm"; did you mean lstm?',
  ],
  [`${start}model: {inputFeeding: both}`, /model.inputFeeding: expected one of lastLayer, firstLayer, got "both"/],
  [`${start}model: 5`, "config.yaml: model: expected an object with options, got 5"],
  [`${start}model: {bidirectional: 1}`, "config.yaml: model.bidirectional: expected true or false, got 1"],
  [`${start}model: {type: transformer, recompute: 1}`, "config.yaml: model.recompute: expected true or false, got 1"],
  [
    `${start}model: {type: transformer, slidingWindow: [2, 0]}`,
    /model.slidingWindow: expected an integer of at least 1, null, or a list of these/,
  ],
  [
    `${start}training: {earlyStopping: {patients: 1}}`,
    /training.earlyStopping.patients is unknown; did you mean patience\?/,
  ],
  [`${start}training: {earlyStopping: {patience: 1}}`, /training.earlyStopping watches valLoss: give data.valid/],
  [`${start}training: {batchSize: 1, batchTokens: 1}`, /give either training.batchSize or training.batchTokens/],
  [
    `${start}training: {optimizer: adma}`,
    /training.optimizer.type: expected the name of an optimiser.*got "adma"; did you mean adam\?/,
  ],
  [`${start}training: {optimizer: {type: adam, momentum: 1}}`, /training.optimizer: adam: unknown option "momentum"/],
  [
    `${start}training: {optimizer: {type: adam, learningRate: fast}}`,
    /learningRate: expected a number of at least 0, or an object/,
  ],
  [
    `${start}training: {optimizer: {learningRate: {type: inverseSquare}}}`,
    /learningRate.type: expected the name of a schedule/,
  ],
  [
    `${start}training: {optimizer: {learningRate: {type: inverseSqrt, peak: 1}}}`,
    /learningRate: inverseSqrt: warmup must be/,
  ],
  [`${start}training: {optimizer: 5}`, /training.optimizer: expected the name of an optimiser, or an object/],
  [`${start}training: {optimizer: {type: constructor}}`, /expected the name of an optimiser/],
  [`${start}tokenizers: {joint: true, target: {type: word}}`, /tokenizers.target: with tokenizers.joint/],
  [
    `${start}tokenizers: {source: {vocabularySize: 4}}`,
    /tokenizers.source.vocabularySize: expected an integer of at least 5/,
  ],
  [`${start}model: {tiedEmbeddings: true}`, "config.yaml: model.tiedEmbeddings needs tokenizers.joint: true"],
  ["out: run\ndata: {train: [a, b, c]}", /data.train: expected a file, or a list of two files.*got \["/],
  ["out: run\ndata: {train: a, columns: [0, -1]}", /data.columns: expected a list of two columns/],
  ["out: run\ndata: {train: a, keys: source}", /data.keys: expected a list of two keys/],
  ["out: 5\ndata: {train: a}", "config.yaml: out: expected the folder of the run, got 5"],
  [`${start}__proto__: {units: 5}\nconstructor: 1`, /is unknown/],
];

for (const [text, message] of mistakes) {
  test(`a mistake is one line that says where, what was expected and what came: ${JSON.stringify(text)}`, (t) => {
    const error = t.throws(() => resolved(text), { instanceOf: OptionError });
    if (typeof message === "string") t.is(error?.message, message);
    else t.regex(error!.message, message);
    t.false(error!.message.includes("\n"));
  });
}

test("a mistake in a flag names the flag", (t) => {
  const flag = { flag: "--units", path: "model.units", value: "many" };
  t.throws(() => resolved(start, [flag]), { message: '--units: expected an integer of at least 1, got "many"' });
  t.throws(() => resolveConfig(undefined, {}, []), { message: /^--train is missing; and 1 more mistake$/ });
  t.throws(() => resolveConfig(undefined, { data: { train: "a" } }, []), { message: "--out is missing" });
});

test("files that are no configurations", async (t) => {
  await t.throwsAsync(readConfigFile(join(folder, "none.yaml")), { instanceOf: FileError, message: /none.yaml/ });
  const large = join(folder, "large.yaml");
  writeFileSync(large, `#${"x".repeat(2 ** 20)}`);
  await t.throwsAsync(readConfigFile(large), { instanceOf: FormatError, message: /at most/ });
  // Each alias holds ten of the one before.
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 12; level++) {
    lines.push(`a${level}: &a${level} [${new Array(10).fill(`*a${level - 1}`).join(", ")}]`);
  }
  t.throws(() => resolved(lines.join("\n")), { instanceOf: OptionError, message: /alias/ });
});

test("sconce train takes a configuration and flags, shows what follows from them, and trains so", async (t) => {
  const path = join(folder, "run.yaml");
  writeFileSync(join(folder, "pairs.tsv"), Array.from({ length: 40 }, (_, i) => `${i * 7}\t${i * 9}\n`).join(""));
  const text = `
out: trained
data: {train: pairs.tsv, valid: pairs.tsv}
tokenizers: {joint: true, source: {type: character}}
model: {units: 8, layers: 2, bidirectional: true, tiedEmbeddings: true, embeddingDim: 4}
training:
  epochs: 4
  batchSize: 20
  threads: 1
  optimizer: {type: adamw, learningRate: {type: inverseSqrt, peak: 0.01, warmup: 4}}
  earlyStopping: {monitor: loss, mode: max, patience: 1}
validation: {samples: 1}
generation: {maxNewTokens: 3}
`;
  writeFileSync(path, text.replace("layers: 2, ", ""));
  const printed = await sconce(["train", path, "--dropout", "0.1", "--set", "model.bridge=dense", "--print-config"]);
  t.is(printed.status, 0, printed.error);
  const config = parse(printed.output) as { model: object; out: string };
  t.like(config.model, { units: 8, dropout: 0.1, bridge: "dense", cell: "lstm" });
  t.is(config.out, join(folder, "trained"));
  const { status, output, error } = await sconce(["train", path, "--json"]);
  t.is(status, 0, error);
  const { history, out } = JSON.parse(output) as { history: Record<string, number[]>; out: string };
  t.is(out, join(folder, "trained"));
  t.is(history.loss!.length, 2);
  t.is(readFileSync(join(out, "samples.txt"), "utf8").split("\n").length, 5);
  const { translations } = JSON.parse((await sconce(["translate", out, "--json"], "7\n14\n")).output) as {
    translations: { text: string }[];
  };
  t.true(translations.every((translation) => translation.text.length <= 3));
  await using best = await Seq2Seq.load(out);
  t.is(best.source.vocabulary.size, best.target.vocabulary.size);
  writeFileSync(join(out, "best", "generation.json"), '{"maxNewTokens":0}');
  const damaged = await sconce(["translate", out], "7\n");
  t.is(damaged.status, 1);
  t.regex(
    damaged.error,
    /generation.json: maxNewTokens: expected an integer of at least 1, got 0; the file is damaged/,
  );
});
