import { OptionError, StateError } from "../errors.ts";
import type { Json } from "../graph/document.ts";
import { checkKeys, numberOption } from "../options.ts";
import { functionSchedule, Schedule } from "../schedules/schedule.ts";
import type { LearningRate } from "../training/trainable.ts";
import type { LearningRateOption } from "./options.ts";

/** Optimisers with their default options. */
export type OptimizerName =
  | "sgd"
  | "rmsprop"
  | "adam"
  | "adamw"
  | "adagrad"
  | "adadelta"
  | "adamax"
  | "nadam"
  | "adafactor"
  | "lion"
  | "ftrl"
  | "lamb";

/** An optimiser as the addon takes it and saved models hold it, but for the learning rate. */
export interface OptimizerDocument {
  readonly type: OptimizerName;
  readonly [option: string]: Json;
}

/** Weights that do not decay. */
export interface WeightDecayExclusions {
  /** Whole names, `layer/weight`, such as `"dense/kernel"`. */
  varList?: readonly string[];
  /** Texts; a weight is left out if its name within the layer holds one of them, such as `"bias"`. */
  varNames?: readonly string[];
}

/** How gradients change weights. Made by the functions in `optimizers`; its state belongs to the compiled model. */
export class Optimizer implements LearningRate {
  #document: OptimizerDocument;
  #rate: number | Schedule;

  /** @internal */
  constructor(document: OptimizerDocument, rate: LearningRateOption) {
    this.#document = Object.freeze(document);
    this.#rate = checkRate(document.type, rate);
  }

  /** All options but the learning rate. @internal */
  get document(): OptimizerDocument {
    return this.#document;
  }

  /** What kind of optimiser it is. */
  get type(): OptimizerName {
    return this.#document.type;
  }

  /** Whether it keeps averages of the weights, with which `fit` ends. */
  get useEma(): boolean {
    return this.#document.useEma === true;
  }

  /**
   * Leaves weights out of `weightDecay`, in models that are compiled from now on. Calling it again replaces what was said
   * before.
   *
   * @param exclusions - Which weights.
   * @throws OptionError if a name is no text.
   * @see `keras.optimizers.Optimizer.exclude_from_weight_decay`
   */
  excludeFromWeightDecay(exclusions: WeightDecayExclusions): void {
    const where = `${this.type}: excludeFromWeightDecay`;
    checkKeys(where, exclusions, ["varList", "varNames"]);
    const names = (option: keyof WeightDecayExclusions): readonly string[] => {
      const list: unknown = exclusions[option] ?? [];
      if (!Array.isArray(list) || list.some((name) => typeof name !== "string" || name === "")) {
        throw new OptionError(`${where}: ${option} must be a list of texts that are not empty`);
      }
      return [...(list as string[])];
    };
    const excludeFromWeightDecay = { varList: names("varList"), varNames: names("varNames") };
    this.#document = Object.freeze({ ...this.#document, excludeFromWeightDecay });
  }

  /**
   * The constant learning rate. Can be set at any time, to a schedule too.
   *
   * @throws StateError when read while a schedule decides.
   */
  get learningRate(): number {
    if (typeof this.#rate === "number") return this.#rate;
    throw new StateError(`${this.type}: a schedule decides the learning rate: read it with at(step)`);
  }

  set learningRate(rate: LearningRateOption) {
    this.#rate = checkRate(this.type, rate);
  }

  /**
   * The learning rate of a step.
   *
   * @param iteration - From 0.
   */
  at(iteration: number): number {
    return typeof this.#rate === "number" ? this.#rate : this.#rate.at(iteration);
  }

  /** A number in any case: the addon is given the rate of each step anew. @internal */
  get constantRate(): number {
    return typeof this.#rate === "number" ? this.#rate : 0;
  }

  /** The learning rate as saved models hold it. @internal */
  get rateDocument(): number | Schedule["document"] {
    return typeof this.#rate === "number" ? this.#rate : this.#rate.document;
  }
}

function checkRate(where: string, rate: unknown): number | Schedule {
  if (rate instanceof Schedule) return rate;
  if (typeof rate === "function") return functionSchedule(rate as (step: number) => number);
  return numberOption(where, "learningRate", rate, 0);
}
