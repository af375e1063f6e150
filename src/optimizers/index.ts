/** Factory functions of optimisers. */
export { adam, adamw, rmsprop, sgd } from "./optimizer.ts";
