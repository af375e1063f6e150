"""Weights after five steps of Keras' optimisers, printed as the Rust arrays of crates/kernels/src/optimizer/golden.rs.

Run with KERAS_BACKEND=torch and Keras 3.15. All inputs are exact
in float32: weight i starts at ((7 i) mod 11 - 5) / 8, its gradient in step t (from 0) is ((3 i + 5 t) mod 13 - 6) / 16.
"""

import keras
import numpy as np

N, STEPS = 8, 5
START = np.array([((7 * i) % 11 - 5) / 8 for i in range(N)], "float32")


def gradient(t):
    return np.array([((3 * i + 5 * t) % 13 - 6) / 16 for i in range(N)], "float32")


O = keras.optimizers
CASES = {
    "SGD": O.SGD(0.1),
    "SGD_MOMENTUM": O.SGD(0.1, momentum=0.9),
    "SGD_NESTEROV": O.SGD(0.1, momentum=0.9, nesterov=True),
    "SGD_DECAY": O.SGD(0.1, weight_decay=0.01),
    "RMSPROP": O.RMSprop(0.01),
    "RMSPROP_MOMENTUM": O.RMSprop(0.01, rho=0.8, momentum=0.5, epsilon=1e-3),
    "RMSPROP_CENTERED": O.RMSprop(0.01, centered=True),
    "RMSPROP_BOTH": O.RMSprop(0.01, momentum=0.5, centered=True, weight_decay=0.1),
    "ADAM": O.Adam(0.01),
    "ADAM_AMSGRAD": O.Adam(0.01, beta_1=0.8, beta_2=0.9, epsilon=1e-3, amsgrad=True),
    "ADAMW": O.AdamW(0.01),
    "SGD_CLIPNORM": O.SGD(0.1, clipnorm=0.5),
    "SGD_GLOBAL_CLIPNORM": O.SGD(0.1, global_clipnorm=0.5),
    "SGD_CLIPVALUE": O.SGD(0.1, clipvalue=0.125),
}

print(f"// Keras {keras.__version__}, backend {keras.backend.backend()}")
for name, optimizer in CASES.items():
    weights = keras.Variable(START)
    for t in range(STEPS):
        optimizer.apply([keras.ops.convert_to_tensor(gradient(t))], [weights])
    values = ", ".join(repr(float(str(x))) for x in keras.ops.convert_to_numpy(weights))
    print(f"pub const {name}: [f32; {N}] = [{values}];")
