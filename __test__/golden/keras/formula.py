"""Weights, inputs and gradients by formula, the same here and in __test__/helpers/formula-weights.ts (described there)."""

import numpy as np


def _hash(seed, length):
    x = np.arange(1, length + 1, dtype=np.uint32) * np.uint32(2654435761)
    x += np.uint32((seed * 2246822519) % 2**32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def values(seed, shape, scale=1.0):
    """Float32 values spread evenly over [-scale, scale)."""
    flat = (_hash(seed, int(np.prod(shape))).astype(np.float64) / 2**31 - 1) * scale
    return flat.astype(np.float32).reshape(shape)


def integers(seed, shape, minimum, maximum):
    """Int32 values spread evenly over [minimum, maximum)."""
    flat = _hash(seed, int(np.prod(shape))).astype(np.int64) % (maximum - minimum) + minimum
    return flat.astype(np.int32).reshape(shape)
