/** Factory functions of constraints. */
export { maxNorm, minMaxNorm, nonNeg, unitNorm } from "./constraint.ts";
