/** Factory functions of layers. */
export { activation } from "./activation.ts";
export { bidirectional } from "./bidirectional.ts";
export { dense } from "./dense.ts";
export { dropout } from "./dropout.ts";
export { embedding } from "./embedding.ts";
export { gru } from "./gru.ts";
export { globalAveragePooling1d, globalMaxPooling1d } from "./global-pooling.ts";
export { layerNormalization } from "./layer-normalization.ts";
export { lstm } from "./lstm.ts";
export { masking } from "./masking.ts";
export { add, average, concatenate, maximum, minimum, multiply, subtract } from "./merge.ts";
export { repeatVector } from "./repeat-vector.ts";
export { simpleRnn } from "./simple-rnn.ts";
export { softmax } from "./softmax.ts";
export { spatialDropout1d } from "./spatial-dropout.ts";
export { timeDistributed } from "./time-distributed.ts";
