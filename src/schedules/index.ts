/** Factory functions of learning rate schedules. */
export { cosineDecayRestarts } from "./cosine-decay-restarts.ts";
export { inverseTimeDecay } from "./inverse-time-decay.ts";
export { linearWarmup } from "./linear-warmup.ts";
export { polynomialDecay } from "./polynomial-decay.ts";
export { cosineDecay, exponentialDecay, inverseSqrt, piecewiseConstant } from "./schedule.ts";
