"""Single layers: outputs, and gradients of sum(output_k * g_k) for formula values g_k, in float64."""

import itertools
import random

import keras
import numpy as np
import torch

import formula
from graph import MERGES, STATES, Document, build, numbers, provide, variables, write

ABOUT = (
    "document: docs/graph.md. weights: formulaValues(seed, size, scale). inputs: data, or formulaValues(seed, size, scale), to the nearest whole numbers if rounded. "
    "The gradients are those of the sum over all outputs of output * formulaValues(seed, size, 1) with the output's own "
    "seed, or 0 at masked positions if silent; inputs of int32 have none. mask: the mask that the output carries."
)


class Rounded(tuple):
    """A shape to be filled with few whole numbers, so that many are equal."""


def case(name, document, inputs, seed, scale=0.5, silent=False):
    """inputs: an array of ids, or a shape to be filled by formula; silent: masked positions have no gradient."""
    model, layers = build(document)
    weights = provide(document, layers, seed, scale)
    described, tensors = [], []
    for index, value in enumerate(inputs):
        if isinstance(value, tuple):
            entry = {"shape": list(value), "seed": 1000 * seed + 500 + index, "scale": 1}
            if isinstance(value, Rounded):
                entry = {**entry, "scale": 2, "rounded": True}
            filled = formula.values(entry["seed"], value, entry["scale"]).astype(np.float64)
            tensor = torch.tensor(np.round(filled) if "rounded" in entry else filled, requires_grad=True)
        else:
            entry = {"shape": list(value.shape), "data": value.ravel().tolist()}
            tensor = torch.tensor(value)
        described.append(entry)
        tensors.append(tensor)
    outputs = model(tensors)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    total, expected = 0, []
    for index, output in enumerate(outputs):
        entry = {"shape": list(output.shape), "seed": 1000 * seed + 700 + index, "data": numbers(output.detach())}
        mask = getattr(output, "_keras_mask", None)
        if mask is not None:
            entry["mask"] = mask.int().ravel().tolist()
        expected.append(entry)
        slopes = torch.tensor(formula.values(entry["seed"], entry["shape"]).astype(np.float64))
        if silent and mask is not None:
            entry["silent"] = True
            slopes = slopes * mask[..., None]
        total = total + (output * slopes).sum()
    total.backward()
    for entry, variable in zip(weights, variables(layers)):
        gradient = variable.value.grad
        entry["gradient"] = numbers(np.zeros(entry["shape"]) if gradient is None else gradient)
        variable.value.grad = None
    for entry, tensor in zip(described, tensors):
        if tensor.is_floating_point():
            entry["gradient"] = numbers(tensor.grad)
    return {"name": name, "document": document, "weights": weights, "inputs": described, "outputs": expected}


ACTIVATIONS = (
    "linear relu leakyRelu relu6 elu celu selu softplus softsign squareplus softShrink hardShrink tanhShrink sparsePlus "
    "sparseSigmoid silu hardSilu gelu geluTanh mish tanh hardTanh sigmoid hardSigmoid logSigmoid exponential softmax"
).split()

PADDING = {
    "right": [[3, 1, 4, 2, 5], [2, 6, 1, 0, 0], [4, 0, 0, 0, 0]],
    "left": [[3, 1, 4, 2, 5], [0, 0, 2, 6, 1], [0, 0, 0, 0, 4]],
    "holes": [[3, 0, 4, 0, 5], [0, 2, 0, 6, 0], [1, 0, 0, 0, 2]],
    "empty": [[0, 0, 0, 0, 0], [2, 6, 1, 0, 0], [0, 0, 0, 0, 4]],
    "full": [[3, 1, 4, 2, 5], [2, 6, 1, 3, 3], [4, 1, 1, 2, 6]],
}


def dense():
    for seed, activation in enumerate(ACTIVATIONS, 1):
        document = Document()
        y = document.dense(document.input(["batch", 4]), units=5, activation=activation)
        yield case(f"dense {activation}", document.finish(y), [(3, 4)], seed, 2)
    for seed, (shape, bias) in enumerate([((2, 3, 4), True), ((2, 3, 4), False), ((1, 1), True), ((1, 1, 7), False)], 40):
        document = Document()
        x = document.input(["batch", *(["time"] if len(shape) == 3 else []), shape[-1]])
        y = document.dense(x, units=3, useBias=bias, activation="softmax")
        yield case(f"dense {shape} bias {bias}", document.finish(y), [shape], seed, 2)
    for seed, activation in enumerate(["tanh", "softmax", "gelu"], 50):
        document = Document()
        y = document.activation(document.input(["batch", "time", 4]), activation)
        yield case(f"activation {activation}", document.finish(y), [(2, 3, 4)], seed)


def embedding():
    repeated = np.array([[1, 2, 1, 1], [0, 2, 5, 0], [4, 4, 4, 3]], np.int32)
    for seed, mask_zero in enumerate([False, True], 100):
        document = Document()
        y = document.embedding(document.input(["batch", "time"], "int32"), inputDim=6, outputDim=3, maskZero=mask_zero)
        yield case(f"embedding maskZero {mask_zero}", document.finish(y), [repeated], seed)
    document = Document()
    y = document.embedding(document.input(["batch"], "int32"), inputDim=6, outputDim=3)
    yield case("embedding of one id a row", document.finish(y), [repeated[:, 2]], 102)
    document = Document()
    shared = document.layer("embedding", inputDim=6, outputDim=3, maskZero=True)
    x, z = (document.input(["batch", name], "int32") for name in ("first", "second"))
    y = [document.call(shared, [x]), document.call(shared, [z])]
    yield case("embedding shared", document.finish(*y), [repeated, repeated[:, :2]], 103)


def lstm():
    names = ("returnSequences", "returnState", "goBackwards", "useBias", "state")
    for seed, flags in enumerate(itertools.product([False, True], repeat=5), 200):
        options = dict(zip(names, flags))
        state = options.pop("state")
        document = Document()
        inputs = [document.input(["batch", "time", 3])]
        shapes = [(2, 4, 3)]
        if state:
            inputs += [document.input(["batch", 2]) for _ in range(2)]
            shapes += [(2, 2)] * 2
        y = document.lstm(inputs[0], inputs[1:], units=2, **options)
        outputs = y if options["returnState"] else [y]
        said = " ".join(name for name, flag in zip(names, flags) if flag)
        yield case(f"lstm {said}", document.finish(*outputs), shapes, seed, 1)


def lstm_masked():
    chosen = random.Random(5)
    for seed, (padding, sequences, backwards) in enumerate(itertools.product(PADDING, [False, True], [False, True]), 300):
        document = Document()
        ids = document.input(["batch", "time"], "int32")
        x = document.embedding(ids, inputDim=7, outputDim=3, maskZero=True)
        state = chosen.random() < 0.4
        options = {
            "returnSequences": sequences,
            "goBackwards": backwards,
            "returnState": chosen.random() < 0.6,
            "zeroOutputForMask": chosen.random() < 0.4,
            "useBias": chosen.random() < 0.8,
        }
        inputs = [document.input(["batch", 3]) for _ in range(2)] if state else []
        y = document.lstm(x, inputs, units=3, **options)
        outputs = y if options["returnState"] else [y]
        said = " ".join([name for name, flag in options.items() if flag] + ["state"] * state)
        shapes = [np.array(PADDING[padding], np.int32)] + [(3, 3)] * (2 * state)
        yield case(f"lstm masked {padding}: {said}", document.finish(*outputs), shapes, seed, 1)


def lstm_shapes():
    pairs = [("relu", "hardSigmoid"), ("linear", "sigmoid"), ("sigmoid", "tanh"), ("softsign", "hardSigmoid")]
    for seed, (activation, recurrent) in enumerate(pairs, 400):
        document = Document()
        y = document.lstm(
            document.input(["batch", "time", 3]),
            units=2,
            activation=activation,
            recurrentActivation=recurrent,
            returnSequences=True,
        )
        yield case(f"lstm {activation} {recurrent}", document.finish(y), [(2, 4, 3)], seed)
    for seed, (b, t, d, u) in enumerate([(1, 1, 1, 1), (1, 7, 2, 5), (5, 1, 3, 2), (3, 2, 9, 1), (2, 3, 1, 17)], 410):
        document = Document()
        y = document.lstm(document.input(["batch", "time", d]), units=u, returnSequences=True, returnState=True)
        yield case(f"lstm B {b} T {t} D {d} U {u}", document.finish(*y), [(b, t, d)], seed)
    document = Document()
    x = document.lstm(document.input(["batch", "time", 3]), units=4, returnSequences=True)
    y = document.lstm(x, units=2, goBackwards=True)
    yield case("lstm stacked", document.finish(y), [(2, 4, 3)], 420, 1)
    document = Document()
    shared = document.layer("lstm", units=2)
    inputs = [document.input(["batch", name, 3]) for name in ("first", "second")]
    y = document.add(*(document.call(shared, [x]) for x in inputs))
    yield case("lstm shared", document.finish(y), [(2, 4, 3), (2, 3, 3)], 421, 1)


def recurrent():
    """GRU with the reset gate after and before the product, and the simple RNN."""
    chosen = random.Random(7)
    kinds = [("gru", {"resetAfter": True}), ("gru", {"resetAfter": False}), ("simpleRnn", {})]
    names = ("returnSequences", "returnState", "goBackwards", "useBias")
    seed = 800
    for (type, own), number in itertools.product(kinds, range(10)):
        options = {**own, **{name: chosen.random() < 0.5 for name in names}}
        document = Document()
        inputs, shapes = [document.input(["batch", "time", 3])], [(2, 4, 3)]
        if number % 2:
            inputs.append(document.input(["batch", 2]))
            shapes.append((2, 2))
        y = document.recurrent(type, inputs[0], inputs[1:], units=2, **options)
        outputs = y if options["returnState"] else [y]
        said = " ".join([name for name, flag in options.items() if flag] + ["state"] * (number % 2))
        yield case(f"{type} {said}", document.finish(*outputs), shapes, seed, 1)
        seed += 1
    pairs = [("relu", "hardSigmoid"), ("linear", "sigmoid"), ("softsign", "tanh"), ("silu", "hardSigmoid")]
    for (type, own), (activation, gates) in itertools.product(kinds, pairs):
        options = {**own, "activation": activation, "returnSequences": True}
        if type == "gru":
            options["recurrentActivation"] = gates
        document = Document()
        y = document.recurrent(type, document.input(["batch", "time", 3]), units=2, **options)
        yield case(f"{type} {own} {activation} {gates}", document.finish(y), [(2, 4, 3)], seed)
        seed += 1
    for (type, own), (b, t, d, u) in itertools.product(kinds, [(1, 1, 1, 1), (5, 1, 3, 2), (2, 3, 9, 17)]):
        document = Document()
        x = document.input(["batch", "time", d])
        y = document.recurrent(type, x, units=u, returnSequences=True, returnState=True, **own)
        yield case(f"{type} {own} B {b} T {t} D {d} U {u}", document.finish(*y), [(b, t, d)], seed)
        seed += 1
    # The states of one layer begin the next, of another kind.
    document = Document()
    x = document.input(["batch", "time", 3])
    x, h = document.recurrent("gru", x, units=4, returnSequences=True, returnState=True)
    x, h = document.recurrent("simpleRnn", x, [h], units=4, returnSequences=True, returnState=True)
    y = document.recurrent("gru", x, [h], units=4, resetAfter=False, goBackwards=True)
    yield case("stacked", document.finish(y), [(2, 4, 3)], seed, 1)


def recurrent_masked():
    chosen = random.Random(8)
    for seed, (padding, sequences, backwards, type) in enumerate(
        itertools.product(PADDING, [False, True], [False, True], ["gru", "simpleRnn"]), 900
    ):
        document = Document()
        ids = document.input(["batch", "time"], "int32")
        x = document.embedding(ids, inputDim=7, outputDim=3, maskZero=True)
        state = chosen.random() < 0.4
        options = {
            "returnSequences": sequences,
            "goBackwards": backwards,
            "returnState": chosen.random() < 0.6,
            "zeroOutputForMask": chosen.random() < 0.4,
            "useBias": chosen.random() < 0.8,
        }
        if type == "gru":
            options["resetAfter"] = chosen.random() < 0.5
        inputs = [document.input(["batch", 3])] if state else []
        y = document.recurrent(type, x, inputs, units=3, **options)
        outputs = y if options["returnState"] else [y]
        said = " ".join([name for name, flag in options.items() if flag] + ["state"] * state)
        shapes = [np.array(PADDING[padding], np.int32)] + [(3, 3)] * state
        yield case(f"{type} masked {padding}: {said}", document.finish(*outputs), shapes, seed, 1)


def bidirectional():
    """Every kind and merge mode, without and with each kind of padding."""
    chosen = random.Random(9)
    modes = ["concat", "sum", "mul", "ave", None]
    for seed, (type, mode, masked) in enumerate(itertools.product(STATES, modes, [False, True, True]), 1000):
        document = Document()
        state = chosen.random() < 0.5
        options = {"returnSequences": chosen.random() < 0.6, "returnState": chosen.random() < 0.5}
        backward = {}
        if chosen.random() < 0.3:
            backward = {"activation": "softsign", "useBias": False}
            if mode in ("concat", None) and not state:
                backward["units"] = 2
        padding = chosen.choice(list(PADDING)) if masked else None
        if masked:
            ids = document.input(["batch", "time"], "int32")
            x = document.embedding(ids, inputDim=7, outputDim=3, maskZero=True)
            shapes = [np.array(PADDING[padding], np.int32)]
        else:
            x = document.input(["batch", "time", 3])
            shapes = [(3, 5, 3)]
        count = 2 * STATES[type] * state
        states = [document.input(["batch", 3]) for _ in range(count)]
        y = document.bidirectional(type, x, states, mode, backward, units=3, **options)
        outputs = y if options["returnState"] or mode is None else [y]
        said = " ".join([name for name, flag in options.items() if flag] + ["state"] * state + list(backward))
        name = f"bidirectional {type} {mode} {padding}: {said}"
        yield case(name, document.finish(*outputs), shapes + [(3, 3)] * count, seed, 1)
    # Behind one another, and before a layer that obeys the mask.
    document = Document()
    ids = document.input(["batch", "time"], "int32")
    x = document.embedding(ids, inputDim=7, outputDim=3, maskZero=True)
    x = document.bidirectional("lstm", x, units=2, returnSequences=True)
    x = document.bidirectional("gru", x, mode="sum", units=2, returnSequences=True)
    y = document.recurrent("simpleRnn", x, units=2)
    yield case("bidirectional stacked", document.finish(x, y), [np.array(PADDING["holes"], np.int32)], 1050, 1)


def joined():
    for seed, (name, axis) in enumerate([("add", None), ("concatenate", -1), ("concatenate", 1), ("concatenate", 2)], 500):
        document = Document()
        inputs = [document.input(["batch", *shape]) for shape in [(3, 2), (3, 2), (3, 2)]]
        y = document.add(*inputs) if name == "add" else document.concatenate(*inputs, axis=axis)
        yield case(f"{name} {axis or ''}", document.finish(y), [(2, 3, 2)] * 3, seed)
    document = Document()
    x = document.input(["batch", "time", 2])
    yield case("add of one value twice", document.finish(document.add(x, x)), [(2, 3, 2)], 510)
    document = Document()
    x = document.input(["batch", "time", 2])
    yield case("concatenate of one value twice", document.finish(document.concatenate(x, x)), [(2, 3, 2)], 511)
    ids = [np.array(PADDING[name], np.int32) for name in ("right", "left")]
    for seed, (name, masked) in enumerate(itertools.product(["add", "concatenate"], [(True, True), (True, False)]), 520):
        document = Document()
        inputs = [
            document.embedding(document.input(["batch", "time"], "int32"), inputDim=7, outputDim=2, maskZero=mask_zero)
            for mask_zero in masked
        ]
        y = document.add(*inputs) if name == "add" else document.concatenate(*inputs)
        z = document.lstm(y, units=2, returnSequences=True)
        yield case(f"{name} of masks {masked}", document.finish(y, z), ids, seed, 1)


def merged():
    """Each merge of 2 or 3 inputs: without masks, with ties, with some or all inputs masked (drawn at random)."""
    chosen = random.Random(6)
    for seed, type in enumerate(MERGES, 600):
        counts = [2] if type == "subtract" else [2, 3]
        for count in counts:
            document = Document()
            y = document.merge(type, *(document.input(["batch", "time", 2]) for _ in range(count)))
            yield case(f"{type} of {count}", document.finish(y), [(2, 3, 2)] * count, 10 * seed + count)
        document = Document()
        x, z = document.input(["batch", 4]), document.input(["batch", 4])
        inputs = [x, x] if type == "subtract" else [x, z, x]
        y = document.merge(type, *inputs)
        # The sum keeps both inputs in the model.
        yield case(f"{type} of one value twice", document.finish(y, document.add(x, z)), [(3, 4)] * 2, 10 * seed)
        document = Document()
        y = document.merge(type, *(document.input(["batch", 8]) for _ in range(max(counts))))
        yield case(f"{type} with ties", document.finish(y), [Rounded((4, 8))] * max(counts), 10 * seed + 1)
        # With masks, at least one position counts in no input.
        for number in range(4):
            masked = [True] * max(counts) if number < 2 else [chosen.random() < 0.5 for _ in range(max(counts))]
            document = Document()
            tables = {
                mask_zero: document.layer("embedding", inputDim=7, outputDim=3, maskZero=mask_zero)
                for mask_zero in sorted(set(masked))
            }
            inputs = [document.call(tables[mask], [document.input(["batch", "time"], "int32")]) for mask in masked]
            y = document.merge(type, *inputs)
            z = document.lstm(y, units=2, returnSequences=True)
            ids = [[[chosen.choice([0, 0, 1, 2, 3]) for _ in range(5)] for _ in range(3)] for _ in masked]
            for each in ids:
                each[0][1], each[1][2] = 0, 4
            data = [np.array(each, np.int32) for each in ids]
            said = f"{type} of masks {masked} {number}"
            yield case(said, document.finish(y, z), data, 10 * seed + 4 + number, 1)



def reshaped():
    for seed, (n, b, d) in enumerate([(1, 2, 3), (4, 3, 2), (5, 1, 1), (3, 2, 17)], 700):
        document = Document()
        y = document.repeat_vector(document.input(["batch", d]), n)
        yield case(f"repeatVector {n} of {b, d}", document.finish(y), [(b, d)], seed)
    document = Document()
    x = document.input(["batch", 3])
    y = document.lstm(document.repeat_vector(x, 4), units=2, returnSequences=True)
    yield case("repeatVector of a value used twice", document.finish(y, document.dense(x, units=2)), [(2, 3)], 710)


keras.config.set_floatx("float64")
for maker in (dense, embedding, lstm, lstm_masked, lstm_shapes, recurrent, recurrent_masked, bidirectional, joined, merged, reshaped):
    write("layers-" + maker.__name__.replace("_", "-"), ABOUT, cases=list(maker()))

import attention  # noqa: E402
import sequences  # noqa: E402

for maker in (*sequences.MAKERS, *attention.MAKERS):
    write("layers-" + maker.__name__.replace("_", "-"), ABOUT, cases=list(maker(case, Rounded)))
