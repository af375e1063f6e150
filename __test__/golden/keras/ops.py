"""Primitive operations, and layers made of them: outputs and gradients as in layers.py, computed by keras.ops in float64.

The files have the format of layers-*.json.
"""

import random

import keras
import numpy as np
import torch
from keras import ops

import formula
from graph import Document, numbers, write

ABOUT = (
    "document: docs/graph.md. inputs: data, or formulaValues(seed, size, scale), to the nearest whole numbers if rounded, plus shift. "
    "The gradients are those of the sum over all outputs of output * formulaValues(seed, size, 1) with the output's own "
    "seed; inputs of int32 have none."
)


class Float:
    """An input that is filled by formula."""

    def __init__(self, shape, scale=1, rounded=False, known=None, shift=0):
        self.shape, self.scale, self.rounded, self.shift = tuple(shape), scale, rounded, shift
        # Sizes as the document has them: all but those of `known` are unknown.
        self.known = known


class Ids:
    def __init__(self, data):
        self.data = np.array(data, np.int32)
        self.shape = self.data.shape


def symbols(shape, known):
    """The batch and every other axis that is not in `known`."""
    names = ["batch"] + [f"axis{size}" for size in shape[1:]]
    return [name if axis == 0 or axis not in known else size for axis, (name, size) in enumerate(zip(names, shape))]


def case(name, type, options, inputs, compute, seed):
    """One layer of `type` on inputs; `compute` gives what Keras gives for them."""
    document = Document()
    references, described, tensors = [], [], []
    for index, value in enumerate(inputs):
        if isinstance(value, Ids):
            references.append(document.input(["batch", *value.shape[1:]], "int32"))
            described.append({"shape": list(value.shape), "data": value.data.ravel().tolist()})
            tensors.append(torch.tensor(value.data))
            continue
        entry = {"shape": list(value.shape), "seed": 1000 * seed + 500 + index, "scale": value.scale}
        filled = formula.values(entry["seed"], value.shape, value.scale).astype(np.float64)
        if value.rounded:
            entry["rounded"], filled = True, np.round(filled)
        if value.shift:
            entry["shift"] = value.shift
            filled = (filled.astype(np.float32) + np.float32(value.shift)).astype(np.float64)
        known = range(len(value.shape)) if value.known is None else value.known
        references.append(document.input(symbols(value.shape, known)))
        described.append(entry)
        tensors.append(torch.tensor(filled, requires_grad=True))
    output = document.call(document.layer(type, **options), references)
    result = compute(*tensors)
    entry = {"shape": list(result.shape), "seed": 1000 * seed + 700, "data": numbers(result.detach())}
    total = (result * torch.tensor(formula.values(entry["seed"], entry["shape"]).astype(np.float64))).sum()
    if total.requires_grad:
        total.backward()
    for given, tensor in zip(described, tensors):
        if tensor.is_floating_point():
            given["gradient"] = numbers(np.zeros(tensor.shape) if tensor.grad is None else tensor.grad)
    return {"name": name, "document": document.finish(output), "weights": [], "inputs": described, "outputs": [entry]}


def layer(made):
    """What a Keras layer gives."""
    return lambda *x: made(list(x) if len(x) > 1 else x[0])


def reshaping():
    seed = 2000
    shapes = [((2, 6), [3, 2]), ((3, 4, 5), [-1]), ((2, 3, 4), [-1, 2]), ((2, 4, 3), [6, -1, 1]), ((1, 1), [1, 1, 1]), ((4, 2, 3), [3, 2])]
    for shape, target in shapes:
        for known in (None, [len(shape) - 1]):
            seed += 1
            made = keras.layers.Reshape(target)
            said = f"reshape {target} of {shape} {'' if known is None else 'with unknown sizes'}"
            yield case(said, "reshape", {"targetShape": target}, [Float(shape, known=known)], layer(made), seed)
    for shape in [(3,), (3, 4), (2, 3, 4), (2, 3, 4, 2)]:
        for format in ("channels_last", "channels_first"):
            seed += 1
            options = {"dataFormat": "channelsLast" if format == "channels_last" else "channelsFirst"}
            made = keras.layers.Flatten(format)
            yield case(f"flatten {format} of {shape}", "flatten", options, [Float(shape, known=[1])], layer(made), seed)
    for dims in [(1,), (2, 1), (1, 2), (3, 1, 2), (2, 3, 1), (3, 2, 1), (4, 2, 3, 1)]:
        seed += 1
        shape = (2, 3, 4, 5, 6)[: len(dims) + 1]
        made = keras.layers.Permute(dims)
        yield case(f"permute {dims}", "permute", {"dims": list(dims)}, [Float(shape, known=[])], layer(made), seed)


def dotted():
    seed = 2100
    cases = [
        ((3, 4), (3, 4), (1, 1)),
        ((3, 4), (3, 4), (-1, -1)),
        ((2, 3, 5), (2, 4, 5), (2, 2)),
        ((2, 5, 3), (2, 5, 4), (1, 1)),
        ((2, 3, 5), (2, 5, 4), (2, 1)),
        ((2, 5, 3), (2, 4, 5), (1, 2)),
        ((2, 5, 3), (2, 4, 5), (-2, -1)),
        ((2, 5), (2, 4, 5), (1, 2)),
        ((2, 5), (2, 5, 4), (1, 1)),
        ((2, 3, 5), (2, 5), (2, 1)),
        ((2, 3, 4, 5), (2, 5, 6), (3, 1)),
        ((2, 3, 5, 4), (2, 6, 5), (2, 2)),
        ((2, 5, 3, 4), (2, 5, 6, 2), (1, 1)),
        ((2, 3, 5), (2, 2, 3, 5), (2, 3)),
        ((1, 1), (1, 1), (1, 1)),
    ]
    for a, b, axes in cases:
        # Of one number the length has no gradient.
        for normalize in (False, True)[: 1 if a == (1, 1) else 2]:
            seed += 1
            made = keras.layers.Dot(axes, normalize=normalize)
            inputs = [Float(a, known=[axes[0] % len(a)]), Float(b, known=[axes[1] % len(b)])]
            said = f"dot {axes} of {a} and {b} normalize {normalize}"
            yield case(said, "dot", {"axes": list(axes), "normalize": normalize}, inputs, layer(made), seed)


def matmul():
    chosen, seed = random.Random(7), 2200
    for number in range(24):
        seed += 1
        rows, inner, columns = (chosen.choice([1, 2, 3, 5]) for _ in range(3))
        batch = [chosen.choice([1, 2, 3]) for _ in range(chosen.choice([0, 1, 2, 3]))]
        # The first axis of an input is a batch: never broadcast alone.
        sides = []
        for side in range(2):
            own = [size if chosen.random() < 0.7 else 1 for size in batch]
            own = own[chosen.randrange(len(own) + 1) if number % 2 and side else 0 :]
            sides.append(own)
        a, b = (*sides[0], rows, inner), (*sides[1], inner, columns)
        transposed = [chosen.random() < 0.4 for _ in range(2)]
        swap = lambda shape, flag: (*shape[:-2], shape[-1], shape[-2]) if flag else shape
        turn = lambda x, flag: ops.swapaxes(x, -1, -2) if flag else x
        inputs = [Float(swap(a, transposed[0])), Float(swap(b, transposed[1]))]
        # Of both sides the first axis is the batch only by name.
        options = {"transposeA": transposed[0], "transposeB": transposed[1]}
        compute = lambda x, y, flags=transposed: ops.matmul(turn(x, flags[0]), turn(y, flags[1]))
        yield fixed(case(f"matmul {a} {b} {transposed}", "ops.matmul", options, inputs, compute, seed))


UNARY = {
    "negative": (1, 0),
    "abs": (1, 0),
    "exp": (1, 0),
    "expm1": (1, 0),
    "log": (1, 1.5),
    "log1p": (0.8, 0),
    "sqrt": (1, 1.5),
    "rsqrt": (1, 1.5),
    "square": (1, 0),
    "reciprocal": (1, 1.5),
    "sign": (1, 0),
    "sin": (3, 0),
    "cos": (3, 0),
    "floor": (3, 0),
    "ceil": (3, 0),
    "round": (3, 0),
    "logicalNot": (1, 0),
}
NAMES = {"logicalNot": "logical_not", "floorDivide": "floor_divide", "notEqual": "not_equal", "lessEqual": "less_equal",
         "greaterEqual": "greater_equal", "logicalAnd": "logical_and", "logicalOr": "logical_or"}
BINARY = ("add subtract multiply divide floorDivide mod power maximum minimum equal notEqual less lessEqual greater "
          "greaterEqual logicalAnd logicalOr").split()


def elementwise():
    chosen, seed = random.Random(8), 2300
    for function, (scale, shift) in UNARY.items():
        seed += 1
        operation = getattr(ops, NAMES.get(function, function))
        compute = lambda x, f=operation: floats(f(x))
        yield case(f"{function}", "ops.unary", {"function": function}, [Float((2, 5, 3), scale, shift=shift)], compute, seed)
    for function in ("tanh", "sigmoid", "relu", "softplus", "gelu", "silu", "hardSigmoid", "logSigmoid"):
        seed += 1
        operation = getattr(keras.activations, {"hardSigmoid": "hard_sigmoid", "logSigmoid": "log_sigmoid"}.get(function, function))
        yield case(f"activation {function}", "ops.activate", {"activation": function}, [Float((2, 5, 3), 3)], operation, seed)
    seed += 1
    compute = lambda x: ops.clip(x, -0.5, 0.25)
    yield case("clip", "ops.clip", {"minimum": -0.5, "maximum": 0.25}, [Float((2, 5, 3))], compute, seed)
    for function in BINARY:
        operation = getattr(ops, NAMES.get(function, function))
        # Powers of positive numbers, quotients by what is not near 0.
        shifts = {"power": (1.5, 0), "divide": (0, 1.5), "floorDivide": (0, 1.5), "mod": (0, 1.5)}.get(function, (0, 0))
        rounded = function in "maximum minimum equal notEqual less lessEqual greater greaterEqual logicalAnd logicalOr".split()
        for a, b in shape_pairs(chosen):
            seed += 1
            inputs = [
                Float(shape, 2 if rounded else 1, rounded=rounded, shift=shift) for shape, shift in zip((a, b), shifts)
            ]
            # PyTorch has no gradient of quotients that are rounded down: it is 0.
            flat = (lambda x: x.detach()) if function == "floorDivide" else (lambda x: x)
            compute = lambda x, y, f=operation, flat=flat: floats(f(flat(x), flat(y)))
            yield case(f"{function} of {a} and {b}", "ops.binary", {"function": function}, inputs, compute, seed)
    for number in range(4):
        seed += 1
        a, b = shape_pairs(chosen)[number % 3]
        inputs = [Float((2, 3, 4), 1, rounded=True), Float(a), Float(b)]
        compute = lambda c, x, y: ops.where(c != 0, x, y)
        yield case(f"where of {a} and {b}", "ops.where", {}, inputs, compute, seed)


def floats(x):
    """Truths as floats."""
    return x if x.is_floating_point() else x.to(torch.float64)


def shape_pairs(chosen):
    """Shapes that can be broadcast together with (2, 3, 4), the batch in each."""
    some = [(2, 3, 1), (2, 1, 4), (2, 1, 1), (2, 3, 4)]
    return [((2, 3, 4), (2, 3, 4)), (chosen.choice(some), (2, 3, 4)), ((2, 3, 4), chosen.choice(some)), ((2, 3, 1), (2, 1, 4))]


def reduced():
    seed = 2500
    shapes = [((2, 3), [1]), ((2, 3, 4), [2]), ((2, 3, 4), [1]), ((2, 3, 4), [1, 2]), ((2, 3, 1, 4), [1, 3]), ((2, 2, 3, 2), [2, 1]), ((1, 1), [1]), ((2, 5, 19), [2]), ((2, 19, 5), [1]), ((2, 3, 4), [])]
    for function in ("sum", "mean", "prod", "max", "min"):
        for number, (shape, axes) in enumerate(shapes):
            seed += 1
            keepdims = number % 2 == 1
            rounded = function in ("max", "min", "prod") and number % 3 == 1
            operation = getattr(ops, function)
            compute = lambda x, f=operation, axes=axes, keep=keepdims: f(x, axis=tuple(axes), keepdims=keep) if axes else x * 1
            options = {"function": function, "axes": axes, "keepdims": keepdims}
            said = f"{function} of {shape} along {axes} keepdims {keepdims}"
            yield case(said, "ops.reduce", options, [Float(shape, 1.4, rounded=rounded)], compute, seed)
    for axis, shape in [(1, (2, 5)), (2, (2, 3, 4)), (1, (2, 3, 4)), (1, (2, 4, 3, 2))]:
        seed += 1
        compute = lambda x, axis=axis: ops.softmax(x, axis=axis)
        yield case(f"softmax of {shape} along {axis}", "ops.softmax", {"axis": axis}, [Float(shape, 3)], compute, seed)


def parted():
    seed = 2700
    for axis, shapes in [(1, [(2, 3), (2, 1)]), (2, [(2, 3, 2), (2, 3, 4), (2, 3, 1)]), (1, [(2, 3, 2), (2, 1, 2)])]:
        seed += 1
        compute = lambda *x, axis=axis: ops.concatenate(x, axis=axis)
        inputs = [Float(shape, known=[a for a in range(len(shape)) if a != axis]) for shape in shapes]
        yield case(f"concatenate {shapes} along {axis}", "ops.concatenate", {"axis": axis}, inputs, compute, seed)
    ranges = [(0, None, 1), (1, None, 1), (0, 2, 1), (-2, None, 1), (0, -1, 1), (1, 4, 2), (0, None, 2), (0, None, 3), (3, 3, 1)]
    for number, (start, end, step) in enumerate(ranges):
        for axis, shape in [(1, (2, 5)), (1, (2, 5, 3)), (2, (2, 3, 5))]:
            seed += 1
            index = tuple([slice(None)] * axis + [slice(start, end, step)])
            options = {"axis": axis, "start": start, "end": end, "step": step}
            known = None if number % 2 else [a for a in range(len(shape)) if a != axis]
            said = f"slice {start} {end} {step} of axis {axis} of {shape}"
            yield case(said, "ops.slice", options, [Float(shape, known=known)], lambda x, index=index: x[index], seed)
    for axes in ([1], [2], [1, 2], []):
        seed += 1
        compute = lambda x, axes=axes: torch.flip(x, axes) * 1
        yield case(f"flip {axes}", "ops.flip", {"axes": axes}, [Float((2, 3, 4))], compute, seed)
    for shape, target, sizes in [((2, 1, 4), (2, 3, 4), [[0, 0], 3, 4]), ((2, 3, 1), (2, 3, 5), [[0, 0], [0, 1], 5])]:
        seed += 1
        compute = lambda x, target=target: ops.broadcast_to(x, target)
        yield case(f"broadcastTo {target} of {shape}", "ops.broadcastTo", {"shape": sizes}, [Float(shape)], compute, seed)
    ids = Ids([[0, 2, 2], [1, -1, 0]])
    for axis, shape in [(1, (2, 3)), (1, (2, 3, 4)), (2, (2, 3, 4)), (2, (2, 1, 3, 2))]:
        seed += 1
        compute = lambda x, i, axis=axis: ops.take(x, i, axis=axis)
        yield case(f"take of {shape} along {axis}", "ops.take", {"axis": axis}, [Float(shape), ids], compute, seed)
    seed += 1
    compute = lambda i: ops.one_hot(i, 3, dtype="float64")
    yield case("oneHot", "ops.oneHot", {"classes": 3}, [Ids([[0, 2, 1], [1, 0, 2]])], compute, seed)
    seed += 1
    compute = lambda i: i.to(torch.float64)
    yield case("cast", "ops.cast", {"dtype": "float32"}, [Ids([[0, 2, 7], [1, -3, 2]])], compute, seed)
    seed += 1
    yield case("stopGradient", "ops.unary", {"function": "stopGradient"}, [Float((2, 3))], lambda x: x.detach(), seed)
    for axis in (1, 2):
        seed += 1
        compute = lambda x, axis=axis: ops.normalize(x, axis=axis)
        yield case(f"normalize along {axis}", "ops.normalize", {"axis": axis}, [Float((2, 3, 4))], compute, seed)
    seed += 1
    compute = lambda x, i: ops.equal(x, i).to(torch.float64)
    yield case("ids compared", "ops.binary", {"function": "equal"}, [Ids([[0, 2], [2, 1]]), Ids([[2, 2], [2, 2]])], compute, seed)


def fixed(made):
    """The case with inputs of known sizes only."""
    layers = made["document"]["layers"]
    for given, reference in zip(made["inputs"], made["document"]["inputs"]):
        node = made["document"]["nodes"][reference[0]]
        layers[node["layer"]]["options"]["shape"] = given["shape"]
    return made


keras.config.set_floatx("float64")
for maker in (reshaping, dotted, elementwise, reduced, parted):
    write("layers-ops-" + maker.__name__, ABOUT, cases=list(maker()))
# The first axis of these is no batch, which models in TypeScript need.
for maker in (matmul,):
    write("ops-" + maker.__name__, ABOUT, cases=list(maker()))
