/**
 * sconce: define, train, evaluate and run encoder-decoder language models.
 *
 * @packageDocumentation
 */
export { type Environment, environment } from "./native.ts";
