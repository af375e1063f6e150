/** Factory functions of layers. */
export { activation } from "./activation.ts";
export { lambda } from "./custom/lambda.ts";
export { dense } from "./dense.ts";
export { dot } from "./dot.ts";
export { dropout } from "./dropout.ts";
export { embedding } from "./embedding.ts";
export { lstm } from "./lstm.ts";
export { add, average, concatenate, maximum, minimum, multiply, subtract } from "./merge.ts";
export { repeatVector } from "./repeat-vector.ts";
export { flatten, permute, reshape } from "./reshaping.ts";
