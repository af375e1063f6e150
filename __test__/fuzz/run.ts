import { complaint } from "../boundary/outcomes.ts";
import { Random } from "./random.ts";
import type { Target } from "./target.ts";

/** An input that was read wrongly. */
export interface Finding {
  readonly index: number;
  readonly message: string;
  /** The input in base64, or its beginning. */
  readonly input: string;
}

/** What a round of inputs gave. */
export interface Round {
  /** Inputs that were read without an error: that they are few says that changes reach deep. */
  accepted: number;
  findings: Finding[];
  /** Largest resident set, in MiB. */
  peakMiB: number;
}

/** Most findings that are kept. */
const most = 20;

/**
 * Reads mutated inputs.
 *
 * @param from - Number of the first.
 * @param before - Told the number of each before it is read: if the process dies, that was it.
 */
export async function fuzz(
  target: Target,
  seed: number,
  from: number,
  count: number,
  before: (index: number) => void = () => {},
): Promise<Round> {
  const round: Round = { accepted: 0, findings: [], peakMiB: 0 };
  for (let index = from; index < from + count && round.findings.length < most; index++) {
    before(index);
    const input = target.make(new Random(seed, index));
    let accepted = true;
    const message = await complaint(async () => {
      try {
        await target.read(input);
      } catch (error) {
        accepted = false;
        throw error;
      }
    });
    if (message !== undefined) {
      round.findings.push({ index, message, input: Buffer.from(input).subarray(0, 4096).toString("base64") });
    } else if (accepted) round.accepted += 1;
    if (index % 128 === 0) round.peakMiB = Math.max(round.peakMiB, process.memoryUsage.rss() / 2 ** 20);
  }
  return round;
}
