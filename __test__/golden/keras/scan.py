"""A GRU of Keras over sequences, with and without masks and from the end, in float64: what cells by hand are compared with."""

import keras
import numpy as np
import torch

import formula
from graph import numbers, write

keras.config.set_floatx("float64")
BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, 3
ABOUT = (
    "x: formulaValues(1, 60, 1) as [3, 5, 4]; kernel [4, 9]: formulaValues(2, 36, 0.7); recurrent [3, 9]: formulaValues(3, 27, 0.7); "
    "bias [2, 9]: formulaValues(4, 18, 0.5); gates z, r, h, reset_after. mask: which steps count. y and last: all outputs and the last state."
)


def run(mask, reverse):
    layer = keras.layers.GRU(UNITS, return_sequences=True, return_state=True, go_backwards=reverse, use_cudnn=False)
    layer.build((BATCH, STEPS, FEATURES))
    for weight, (seed, scale) in zip(layer.weights, [(2, 0.7), (3, 0.7), (4, 0.5)]):
        weight.assign(formula.values(seed, tuple(weight.shape), scale))
    x = torch.tensor(formula.values(1, (BATCH, STEPS, FEATURES)).astype(np.float64))
    y, last = layer(x, mask=None if mask is None else torch.tensor(mask, dtype=torch.bool))
    if reverse:
        y = torch.flip(y, [1])
    return {
        "mask": mask if mask is None else np.array(mask).ravel().tolist(),
        "reverse": reverse,
        "y": numbers(y.detach()),
        "last": numbers(last.detach()),
    }


MASK = [[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1]]
write("scan", ABOUT, cases=[run(mask, reverse) for mask in (None, MASK) for reverse in (False, True)])
