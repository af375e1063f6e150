import { access } from "node:fs/promises";
import { cpus, homedir, totalmem } from "node:os";
import { join } from "node:path";
import { checkPositionals, readArguments } from "./arguments.ts";
import type { Command, Streams } from "./command.ts";
import { type Screen, styled } from "./style.ts";

const help = `Usage: sconce doctor [--json]

Shows what this machine and installation can do: versions, instruction sets, threads, the folder of word vectors; and
trains a model for a few steps to see that it learns. Exit status 1 if something does not work.

Example: sconce doctor --json > report.json

  --json      print one JSON object
  -h, --help  this text
`;

/** What is found out. */
interface Findings {
  node: string;
  platform: string;
  cpu: string;
  cores: number;
  memoryGiB: number;
  version?: string;
  simd?: string;
  simdAvailable?: string[];
  bfloat16?: boolean;
  threads?: number;
  allocator?: string;
  /** Where word vectors are looked for, and whether there are any. */
  glove: { folder: string; found: boolean };
  /** Losses of the first and the last step of the small model. */
  training?: { first: number; last: number };
  /** What does not work, each with a remedy. */
  problems: string[];
}

export const doctor: Command = {
  help,
  async run(args: readonly string[], { output }: Streams): Promise<number> {
    const parsed = readArguments(args, { json: { type: "boolean" } });
    if (parsed.help) {
      output.write(help);
      return 0;
    }
    checkPositionals(parsed, [], 0);
    const findings = await examine();
    output.write(parsed.values.json === true ? `${JSON.stringify(findings)}\n` : shown(findings, output));
    return findings.problems.length === 0 ? 0 : 1;
  },
};

async function examine(): Promise<Findings> {
  const folder = process.env.SCONCE_GLOVE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sconce");
  const findings: Findings = {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    glove: {
      folder,
      found: await access(folder).then(
        () => true,
        () => false,
      ),
    },
    problems: [],
  };
  try {
    const { environment } = await import("../native.ts");
    Object.assign(findings, environment());
  } catch (error) {
    findings.problems.push(
      `the native addon cannot be loaded (${reason(error)}): install sconce again on this machine, or run npm run build`,
    );
    return findings;
  }
  try {
    const { learn } = await import("./self-test.ts");
    findings.training = await learn();
    if (!(findings.training.last < findings.training.first)) {
      findings.problems.push(
        "a small model does not learn: please report this with the output of sconce doctor --json",
      );
    }
  } catch (error) {
    findings.problems.push(`a small model cannot be trained (${reason(error)}): please report this`);
  }
  return findings;
}

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
}

function shown(findings: Findings, screen: Screen): string {
  const { version, simd, simdAvailable, bfloat16, threads, allocator, glove, training, problems } = findings;
  const lines = [
    `node       ${findings.node} on ${findings.platform}`,
    `processor  ${findings.cpu}, ${findings.cores} cores, ${findings.memoryGiB} GiB of memory`,
  ];
  if (version !== undefined) {
    lines.push(
      `sconce     ${version}, ${simd} of ${simdAvailable?.join(", ")}, ${threads} threads, allocator ${allocator}`,
      `bfloat16   ${bfloat16 ? 'avx512_bf16 is there: mixedPrecision may be "bfloat16"' : "no avx512_bf16: all is computed in float32"}`,
    );
  }
  lines.push(`vectors    ${glove.folder}${glove.found ? "" : " (not there; SCONCE_GLOVE names another place)"}`);
  if (training !== undefined) {
    lines.push(`training   loss ${training.first.toFixed(3)} to ${training.last.toFixed(3)} in 5 epochs`);
  }
  for (const problem of problems) lines.push(styled(screen, "red", `problem    ${problem}`));
  if (problems.length === 0) lines.push(styled(screen, "green", "all is well"));
  return `${lines.join("\n")}\n`;
}
