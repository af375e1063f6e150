"""What Keras' initialisers draw, printed as the Rust arrays of crates/kernels/src/initialize/golden.rs.

Run with KERAS_BACKEND=torch and Keras 3.15. The random functions are replaced, because only their arguments are compared:
uniform gives its limit, truncated_normal and normal their deviation; for orthogonal, normal gives the matrix
((5 i + 3 j i + 2 j j) mod 7 - 3) / 2 of the shape that is asked for.
"""

import keras
from keras.src.initializers import random_initializers

SHAPES = [(50, 1024), (7,), (3, 4, 5), ()]
I = keras.initializers
CASES = {
    "GLOROT_UNIFORM": I.GlorotUniform(),
    "GLOROT_NORMAL": I.GlorotNormal(),
    "HE_UNIFORM": I.HeUniform(),
    "HE_NORMAL": I.HeNormal(),
    "LECUN_UNIFORM": I.LecunUniform(),
    "LECUN_NORMAL": I.LecunNormal(),
    "SCALING_FAN_OUT": I.VarianceScaling(0.3, "fan_out", "untruncated_normal"),
}
orthogonal = I.Orthogonal(gain=1.5)


class Arguments:
    uniform = staticmethod(lambda shape, minval, maxval, dtype, seed: maxval)
    normal = staticmethod(lambda shape, mean, stddev, dtype, seed: stddev)
    truncated_normal = normal


class Matrix:
    @staticmethod
    def normal(shape, seed, dtype):
        value = [[((5 * i + 3 * j * i + 2 * j * j) % 7 - 3) / 2 for j in range(shape[1])] for i in range(shape[0])]
        return keras.ops.convert_to_tensor(value, "float32")


random_initializers.random = Arguments
for name, initializer in CASES.items():
    values = ", ".join(repr(float(initializer(shape))) for shape in SHAPES)
    print(f"pub const {name}: [f64; {len(SHAPES)}] = [{values}];")
random_initializers.random = Matrix
for rows, columns in [(4, 3), (2, 5), (3, 3)]:
    matrix = keras.ops.convert_to_numpy(orthogonal((rows, columns), dtype="float32")).flatten()
    values = ", ".join(str(x) for x in matrix)
    print(f"pub const ORTHOGONAL_{rows}_{columns}: [f32; {rows * columns}] = [{values}];")
