/** The only module that imports the native addon. */
import * as addon from "../index.js";

/** Facts about the native addon and the machine it runs on. */
export interface Environment {
  /** Version of the addon. */
  version: string;
  /** Instruction set that the kernels use: `"scalar"`, `"avx2"`, `"avx512"` or `"neon"`; `SCONCE_SIMD` forces one. */
  simd: string;
  /** Instruction sets that this machine can run. */
  simdAvailable: string[];
  /** Compute threads; `SCONCE_THREADS` sets them, default all cores. */
  threads: number;
  /** Memory allocator of the addon. */
  allocator: string;
}

/**
 * Facts about the native addon and the machine it runs on.
 *
 * @returns Version, instruction sets and thread count.
 */
export function environment(): Environment {
  return JSON.parse(addon.environment()) as Environment;
}
