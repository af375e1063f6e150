/** Factory functions of regularisers. */
export { l1, l1L2, l2, orthogonalRegularizer } from "./regularizer.ts";
