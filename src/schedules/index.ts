/** Factory functions of learning rate schedules. */
export { cosineDecay, exponentialDecay, inverseSqrt, piecewiseConstant } from "./schedule.ts";
