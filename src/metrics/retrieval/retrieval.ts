import { DataError } from "../../errors.ts";
import { checkKeys, integerOption, nameOption } from "../../options.ts";

/** What is relevant to a query: ids, or ids with grades, of which those above 0 are relevant. */
export type Relevance = readonly string[] | ReadonlySet<string> | ReadonlyMap<string, number>;

/** Options of {@link retrieval}. */
export interface RetrievalOptions {
  /** How many results of each query are looked at, at least 1; default 10. */
  k?: number;
  /** What a grade is worth in nDCG: `"linear"` the grade, as trec_eval has it, `"exponential"` `2^grade - 1`. Default `"linear"`. */
  gain?: "linear" | "exponential";
}

/** Values of a query at k, from 0 to 1. */
export interface RetrievalValues {
  /** Relevant results among the first k, divided by k. */
  readonly precision: number;
  /** Relevant results among the first k, divided by all that is relevant. */
  readonly recall: number;
  /** 1 divided by the rank of the first relevant result, if that is among the first k. */
  readonly reciprocalRank: number;
  /** Gains of the first k results, each divided by `log2(rank + 1)`, as a share of those of the best order. */
  readonly ndcg: number;
  /** Precision at the rank of each relevant result among the first k, added up and divided by all that is relevant. */
  readonly averagePrecision: number;
}

/** What {@link retrieval} gives: means over the queries. */
export interface RetrievalScores {
  /** Mean precision at k. */
  readonly precision: number;
  /** Mean recall at k. */
  readonly recall: number;
  /** Mean reciprocal rank at k: MRR. */
  readonly mrr: number;
  /** Mean normalised discounted cumulative gain at k: nDCG. */
  readonly ndcg: number;
  /** Mean average precision at k: MAP. */
  readonly map: number;
  /** Values of each query, such as {@link compareStatistics} compares. */
  readonly queries: readonly RetrievalValues[];
}

/**
 * How good rankings are: precision, recall, MRR, nDCG and MAP of the first k results, as trec_eval computes `P`, `recall`, `recip_rank`,
 * `ndcg_cut` and `map_cut`.
 *
 * A query to which nothing is relevant has the value 0 everywhere, and counts.
 *
 * @param rankings - For each query the ids that were found, the best one first.
 * @param relevant - For each query what is relevant.
 * @param options - How many results, and what grades are worth.
 * @returns Means from 0 to 1, and the values of each query.
 * @throws OptionError if an option is wrong; DataError if there are no queries, counts differ, an id is found twice, or something is no id or
 *   grade.
 * @see Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques" (2002)
 *
 * @example
 * ```ts
 * import { retrieval } from "sconce";
 *
 * const { mrr, ndcg } = retrieval([["d3", "d1", "d2"]], [new Map([["d1", 2], ["d2", 1]])], { k: 3 });
 * console.log(mrr, ndcg); // 0.5, and 0.67
 * ```
 */
export function retrieval(
  rankings: readonly (readonly string[])[],
  relevant: readonly Relevance[],
  options: RetrievalOptions = {},
): RetrievalScores {
  const where = "retrieval";
  checkKeys(where, options, ["k", "gain"]);
  const k = integerOption(where, "k", options.k ?? 10, 1);
  const gain = nameOption(where, "gain", options.gain ?? "linear", ["linear", "exponential"]);
  if (!Array.isArray(rankings) || !Array.isArray(relevant)) {
    throw new DataError(`${where}: rankings and relevant must be lists with an entry for each query`);
  }
  if (rankings.length === 0) throw new DataError(`${where}: there are no queries`);
  if (rankings.length !== relevant.length) {
    throw new DataError(`${where}: ${rankings.length} rankings but ${relevant.length} sets of what is relevant`);
  }
  const worth = gain === "linear" ? (grade: number) => grade : (grade: number) => 2 ** grade - 1;
  const queries = rankings.map((ranking, index) => {
    checkRanking(where, ranking, index);
    return valuesOf(ranking.slice(0, k), gradesOf(where, relevant[index], index), k, worth);
  });
  const mean = (name: keyof RetrievalValues) => queries.reduce((sum, values) => sum + values[name], 0) / queries.length;
  return {
    precision: mean("precision"),
    recall: mean("recall"),
    mrr: mean("reciprocalRank"),
    ndcg: mean("ndcg"),
    map: mean("averagePrecision"),
    queries,
  };
}

function checkRanking(where: string, ranking: unknown, index: number): asserts ranking is readonly string[] {
  if (!Array.isArray(ranking) || ranking.some((id) => typeof id !== "string")) {
    throw new DataError(`${where}: rankings[${index}] must be a list of ids`);
  }
  if (new Set(ranking).size < ranking.length) throw new DataError(`${where}: rankings[${index}] has an id twice`);
}

/** Grades above 0 by id. */
function gradesOf(where: string, relevance: unknown, index: number): ReadonlyMap<string, number> {
  const wrong = () =>
    new DataError(`${where}: relevant[${index}] must be a list or set of ids, or a map of grades by id`);
  const grades = new Map<string, number>();
  if (relevance instanceof Map) {
    for (const [id, grade] of relevance as ReadonlyMap<unknown, unknown>) {
      if (typeof id !== "string" || typeof grade !== "number" || !Number.isFinite(grade)) throw wrong();
      if (grade > 0) grades.set(id, grade);
    }
    return grades;
  }
  if (!Array.isArray(relevance) && !(relevance instanceof Set)) throw wrong();
  for (const id of relevance as Iterable<unknown>) {
    if (typeof id !== "string") throw wrong();
    grades.set(id, 1);
  }
  return grades;
}

function valuesOf(
  found: readonly string[],
  grades: ReadonlyMap<string, number>,
  k: number,
  worth: (grade: number) => number,
): RetrievalValues {
  const all = grades.size;
  if (all === 0) return { precision: 0, recall: 0, reciprocalRank: 0, ndcg: 0, averagePrecision: 0 };
  let [hits, first, precisions, gained] = [0, 0, 0, 0];
  for (const [index, id] of found.entries()) {
    const grade = grades.get(id);
    if (grade === undefined) continue;
    hits += 1;
    if (hits === 1) first = index + 1;
    precisions += hits / (index + 1);
    gained += worth(grade) / Math.log2(index + 2);
  }
  const best = [...grades.values()].sort((a, b) => b - a).slice(0, k);
  const ideal = best.reduce((sum, grade, index) => sum + worth(grade) / Math.log2(index + 2), 0);
  return {
    precision: hits / k,
    recall: hits / all,
    reciprocalRank: first === 0 ? 0 : 1 / first,
    ndcg: gained / ideal,
    averagePrecision: precisions / all,
  };
}
