import type { ConstraintOption } from "../constraints/constraint.ts";
import { resolveConstraint } from "../constraints/resolve.ts";
import type { Json } from "../graph/document.ts";
import type { RegularizerOption } from "../regularizers/regularizer.ts";
import { resolveRegularizer } from "../regularizers/resolve.ts";

/** Regulariser and constraint of a kernel. */
export interface KernelRules {
  /** A penalty on the kernel, which the loss includes; default none. */
  kernelRegularizer?: RegularizerOption;
  /** What the kernel is brought back to after each step; default nothing. */
  kernelConstraint?: ConstraintOption;
}

/** Regulariser and constraint of a recurrent kernel. */
export interface RecurrentRules {
  /** A penalty on the recurrent kernel, which the loss includes; default none. */
  recurrentRegularizer?: RegularizerOption;
  /** What the recurrent kernel is brought back to after each step; default nothing. */
  recurrentConstraint?: ConstraintOption;
}

/** Regulariser and constraint of a bias. */
export interface BiasRules {
  /** A penalty on the bias, which the loss includes; default none. */
  biasRegularizer?: RegularizerOption;
  /** What the bias is brought back to after each step; default nothing. */
  biasConstraint?: ConstraintOption;
}

/** Regulariser and constraint of a table of embeddings. */
export interface EmbeddingsRules {
  /** A penalty on the whole table, which the loss includes; default none. */
  embeddingsRegularizer?: RegularizerOption;
  /** What the table is brought back to after each step; default nothing. */
  embeddingsConstraint?: ConstraintOption;
}

/** Regulariser and constraint of what is added after a normalisation. */
export interface BetaRules {
  /** A penalty on `beta`, which the loss includes; default none. */
  betaRegularizer?: RegularizerOption;
  /** What `beta` is brought back to after each step; default nothing. */
  betaConstraint?: ConstraintOption;
}

/** Regulariser and constraint of what a normalisation is multiplied by. */
export interface GammaRules {
  /** A penalty on `gamma`, which the loss includes; default none. */
  gammaRegularizer?: RegularizerOption;
  /** What `gamma` is brought back to after each step; default nothing. */
  gammaConstraint?: ConstraintOption;
}

/** Regularisers and constraints by the names of their options. */
export type WeightRuleDocuments = Readonly<Record<string, Json>>;

/** Names of the options of some weights, such as `"kernel"`. */
export function weightRuleNames(weights: readonly string[]): string[] {
  return weights.flatMap((weight) => [`${weight}Regularizer`, `${weight}Constraint`]);
}

/**
 * Regularisers and constraints as the graph document has them: only those that there are.
 *
 * @param where - Name of the layer type, for messages.
 * @param options - As the user gave them.
 * @param weights - Which weights the layer has, such as `"kernel"`.
 * @throws OptionError if one has an unknown name.
 */
export function weightRules(where: string, options: object, weights: readonly string[]): WeightRuleDocuments {
  const rules = weights.map((weight) => weightRule(where, `${weight}Regularizer`, `${weight}Constraint`, options));
  return Object.assign({}, ...rules) as WeightRuleDocuments;
}

/** As {@link weightRules}, of one weight whose options have these names. */
export function weightRule(
  where: string,
  regularizer: string,
  constraint: string,
  options: object,
): WeightRuleDocuments {
  const given = options as Readonly<Record<string, unknown>>;
  const penalty = resolveRegularizer(where, regularizer, given[regularizer] as RegularizerOption | undefined);
  const limit = resolveConstraint(where, constraint, given[constraint] as ConstraintOption | undefined);
  return {
    ...(penalty !== undefined && { [regularizer]: penalty.document }),
    ...(limit !== undefined && { [constraint]: limit.document }),
  };
}
