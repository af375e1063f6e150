/** Factory functions of layers. */
export { activation } from "./activation.ts";
export { bidirectional } from "./bidirectional.ts";
export { dense } from "./dense.ts";
export { dropout } from "./dropout.ts";
export { embedding } from "./embedding.ts";
export { gru } from "./gru.ts";
export { lstm } from "./lstm.ts";
export { add, average, concatenate, maximum, minimum, multiply, subtract } from "./merge.ts";
export { repeatVector } from "./repeat-vector.ts";
export { simpleRnn } from "./simple-rnn.ts";
