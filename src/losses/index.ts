/** Factory functions of losses. */
export { categoricalCrossentropy, sparseCategoricalCrossentropy } from "./loss.ts";
