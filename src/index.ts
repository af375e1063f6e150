/**
 * sconce: define, train, evaluate and run encoder-decoder language models.
 *
 * @packageDocumentation
 */

export type { BucketOptions } from "./data/bucketing.ts";
export { Dataset, DatasetIterator, type DatasetPosition, type ShuffleOptions } from "./data/dataset.ts";
export { type ArrayData, type DataBatch, type Example, type PadOptions, padSequences, stack } from "./data/example.ts";
export {
  NdArray,
  type NdArrayOptions,
  type NestedArray,
  type NumberArray,
  ndarray,
} from "./data/ndarray.ts";
export { ParallelText, type SplitOptions, type TextPair } from "./data/parallel-text.ts";
export { type ReadParallelTextOptions, readParallelText } from "./data/readers/parallel-text.ts";
export {
  type EncodeOptions,
  Tokenizer,
  type TokenizerDocument,
  type TokenizerOptions,
  type TokenizerType,
} from "./data/tokenizer.ts";
export { Vocabulary, type VocabularyOptions } from "./data/vocabulary.ts";
export { type Environment, environment } from "./native.ts";
