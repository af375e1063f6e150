#!/usr/bin/env node
/** The command line: finds the command, turns errors into one line and an exit status. */
import { readFileSync } from "node:fs";
import { type ErrorCode, SconceError } from "../errors.ts";
import { type Command, CommandError, type Streams, UsageError } from "./command.ts";
import { styled } from "./style.ts";

/** Loaded when it is needed, so that help works without the addon. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  train: async () => (await import("./train.ts")).train,
  translate: async () => (await import("./translate.ts")).translate,
  score: async () => (await import("./score.ts")).score,
  evaluate: async () => (await import("./evaluate.ts")).evaluate,
  average: async () => (await import("./average.ts")).average,
  inspect: async () => (await import("./inspect.ts")).inspect,
  doctor: async () => (await import("./doctor.ts")).doctor,
};

const help = `Usage: sconce COMMAND [OPTIONS]

Define, train, evaluate and run encoder-decoder language models.

Commands:
  train      learn to translate from sentence pairs
  translate  translate lines of text
  evaluate   loss, perplexity, token accuracy, exact match, BLEU, chrF and more on sentence pairs
  score      BLEU, chrF, TER, ROUGE and more of texts that were generated, by whatever
  average    one translator from the weights of several
  inspect    what a saved model is made of
  doctor     what this machine and installation can do

sconce COMMAND --help explains a command. sconce --version prints the version.
Exit status: 0 success, 1 failure, 2 bad usage.
`;

/** What a user can do about each kind of failure. */
const remedies: Readonly<Record<ErrorCode, string>> = {
  SHAPE: "check that the data fit the model",
  OPTION: "see --help",
  DATA: "correct the data and run the command again",
  FILE: "check the path and its permissions",
  FORMAT: "the file is damaged or no file of this kind: write or download it again",
  STATE: "run the command again",
  LIMIT: "use a smaller model or batch",
  GRAPH: "choose a model with an encoder and a decoder input",
  NAN: "lower the learning rate",
  INTERNAL: "please report this with the command that you ran",
  CANCELLED: "run the command again",
};

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/**
 * Runs a command line.
 *
 * @param args - What follows the name of the program.
 * @param streams - Where it reads and writes.
 * @returns The exit status: 0 success, 1 failure, 2 bad usage.
 */
async function main(args: readonly string[], streams: Streams): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version") {
    streams.output.write(`${version()}\n`);
    return 0;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    streams.output.write(help);
    return 0;
  }
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    const problem = name === undefined ? "no command given" : `unknown command ${JSON.stringify(name)}`;
    streams.error.write(`sconce: ${problem}; known are ${Object.keys(commands).join(", ")}: see sconce --help\n`);
    return 2;
  }
  try {
    const command = await load();
    return await command.run(rest, streams);
  } catch (error) {
    const head = styled(streams.error, "red", `sconce ${name}:`);
    const line = (text: string) => streams.error.write(`${head} ${text.replace(/\s+/g, " ").trim()}\n`);
    if (error instanceof UsageError) {
      line(`${error.message}; see sconce ${name} --help`);
      return 2;
    }
    if (error instanceof CommandError) {
      line(error.message);
      return 1;
    }
    if (error instanceof SconceError) {
      line(`${error.message}; ${remedies[error.code]}`);
      return error.code === "OPTION" ? 2 : 1;
    }
    line(
      `${error instanceof Error ? error.message : String(error)}; run sconce doctor, and report this if it finds nothing`,
    );
    return 1;
  }
}

// A reader that has seen enough, such as head, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

main(process.argv.slice(2), { input: process.stdin, output: process.stdout, error: process.stderr }).then((status) => {
  process.exitCode = status;
});
