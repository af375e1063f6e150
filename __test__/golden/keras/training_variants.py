"""Short training runs: every optimiser with its options, clipping, losses with their options, sample weights, several outputs."""

import re

import keras
import numpy as np
import torch

import formula
from graph import Document, build, numbers, provide, textbook, variables, write

ABOUT = (
    "20 steps in float64; step s takes batch s % 4. weights: initial values formulaValues(seed, size, scale), then the values after "
    "the last step. losses: a number a step, the sum over outputs of lossWeight times the mean over valid entries. targets of "
    "int32 are ids. An output with masked true has the mask of the second input (id != 0)."
)
STEPS, BATCHES = 20, 4
V, E, U, B, S, T = 9, 3, 4, 4, 5, 4


def right_padded(seed, shape):
    """Ids from 1 on; row r of batch b keeps 1 + (r + b) % length of them, at least one row is full."""
    ids = formula.integers(seed, shape, 1, V)
    for row in range(shape[0]):
        ids[row, 1 + (row + seed) % shape[1] :] = 0
    return ids


def sentences(batch):
    encoder, decoder = right_padded(10 + batch, (B, S)), right_padded(20 + batch, (B, T))
    goal = formula.integers(30 + batch, (B, T), 1, V)
    return [encoder, decoder], goal


def snake(options):
    names = {"beta1": "beta_1", "beta2": "beta_2"}
    return {names.get(key, re.sub("([A-Z])", lambda m: "_" + m[1].lower(), key)): value for key, value in options.items()}


OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
}
LOSSES = {
    "sparseCategoricalCrossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categoricalCrossentropy": keras.losses.CategoricalCrossentropy,
}


def tensor(array):
    return torch.tensor(array.astype(np.float64) if array.dtype == np.float32 else array)


def described(array):
    kind = "int32" if array.dtype == np.int32 else "float32"
    data = array.ravel().tolist() if kind == "int32" else numbers(array, 9)
    return {"shape": list(array.shape), "dtype": kind, "data": data}


def case(name, seed, document, batches, optimizer, losses, masked):
    """batches: (inputs, targets, sample weights) each; losses and masked: one for each output."""
    model, layers = build(document)
    weights = provide(document, layers, seed, 0.5)
    options = {key: value for key, value in optimizer.items() if key != "type"}
    rule = OPTIMIZERS[optimizer["type"]](**snake(options))
    rule.build(model.trainable_variables)
    functions = []
    for loss in losses:
        options = {key: value for key, value in loss.items() if key not in ("type", "weight")}
        functions.append(LOSSES[loss["type"]](**snake(options)))
    history = []
    for step in range(STEPS):
        inputs, targets, sample_weights = batches[step % BATCHES]
        outputs = model([tensor(x) for x in inputs], training=True)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        total = 0
        for index, output in enumerate(outputs):
            if masked[index]:
                keras.src.backend.set_keras_mask(output, torch.tensor(inputs[1] != 0))
            weight = sample_weights[index]
            if weight is not None:
                # Keras multiplies the weights into the mask in place, for which weights of rows need all axes.
                weight = tensor(weight.repeat(T).reshape(B, T) if masked[index] and weight.ndim == 1 else weight)
            value = functions[index](tensor(targets[index]), output, sample_weight=weight)
            total = total + losses[index]["weight"] * value
        model.zero_grad()
        total.backward()
        trained = model.trainable_variables
        with torch.no_grad():
            rule.apply([variable.value.grad for variable in trained], trained)
        history.append(total.item())
    for entry, variable in zip(weights, variables(layers)):
        entry["final"] = numbers(variable.numpy())
    return {
        "name": name,
        "document": document,
        "optimizer": optimizer,
        "losses": losses,
        "masked": masked,
        "batches": [
            {
                "inputs": [described(x) for x in inputs],
                "targets": [described(x) for x in targets],
                "sampleWeights": [None if x is None else described(x) for x in sample_weights],
            }
            for inputs, targets, sample_weights in batches
        ],
        "weights": weights,
        "history": numbers(history, 9),
    }


SPARSE = {"type": "sparseCategoricalCrossentropy", "weight": 1}
CATEGORICAL = {"type": "categoricalCrossentropy", "weight": 1}
ADAM = {"type": "adam", "learningRate": 0.01}


def plain():
    return [(inputs, [goal], [None]) for inputs, goal in map(sentences, range(BATCHES))]


def optimizers():
    rules = [
        {"type": "sgd", "learningRate": 0.5},
        {"type": "sgd", "learningRate": 0.1, "momentum": 0.9},
        {"type": "sgd", "learningRate": 0.1, "momentum": 0.9, "nesterov": True},
        {"type": "rmsprop", "learningRate": 0.01},
        {"type": "rmsprop", "learningRate": 0.01, "rho": 0.8, "momentum": 0.5, "epsilon": 1e-5},
        {"type": "rmsprop", "learningRate": 0.01, "centered": True},
        {"type": "adam"},
        {"type": "adam", "learningRate": 0.02, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4},
        {"type": "adam", "learningRate": 0.01, "amsgrad": True},
        {"type": "adamw", "learningRate": 0.01},
        {"type": "adamw", "learningRate": 0.01, "weightDecay": 0.1},
        {"type": "sgd", "learningRate": 1.0, "clipnorm": 0.05},
        {"type": "sgd", "learningRate": 1.0, "globalClipnorm": 0.05},
        {"type": "sgd", "learningRate": 1.0, "clipvalue": 0.01},
        {"type": "adam", "learningRate": 0.01, "clipnorm": 0.05},
        {"type": "rmsprop", "learningRate": 0.01, "globalClipnorm": 0.05},
        {"type": "rmsprop", "learningRate": 0.01, "clipvalue": 0.01, "momentum": 0.9},
    ]
    for seed, rule in enumerate(rules, 600):
        name = " ".join(str(value) if key == "type" else f"{key} {value}" for key, value in rule.items())
        yield case(name, seed, textbook(V, E, U), plain(), rule, [SPARSE], [True])


def one_hot(goal):
    return np.eye(V, dtype=np.float32)[goal]


def losses():
    def run(name, seed, batches, loss, activation="softmax", masked=True, document=None):
        document = document or textbook(V, E, U, activation)
        return case(name, seed, document, batches, ADAM, [loss], [masked])

    by_row = formula.values(90, (B,)) + np.float32(1)
    by_entry = formula.values(91, (B, T)) + np.float32(1)
    yield run("sample weights of rows", 650, [(x, y, [by_row]) for x, y, _ in plain()], SPARSE)
    yield run("sample weights of entries", 651, [(x, y, [by_entry]) for x, y, _ in plain()], SPARSE)
    smoothed = {**CATEGORICAL, "labelSmoothing": 0.1}
    floats = [(x, [one_hot(goal)], w) for x, [goal], w in plain()]
    yield run("one-hot targets", 652, floats, CATEGORICAL)
    yield run("label smoothing", 653, floats, smoothed)
    yield run("label smoothing and sample weights", 654, [(x, y, [by_entry]) for x, y, _ in floats], smoothed)
    soft = []
    for batch, (x, _, w) in enumerate(floats):
        values = formula.values(95 + batch, (B, T, V)) + np.float32(1)
        soft.append((x, [values / values.sum(-1, keepdims=True)], w))
    yield run("soft targets", 655, soft, CATEGORICAL)
    yield run("ids from logits", 656, plain(), {**SPARSE, "fromLogits": True}, "linear")
    yield run("one-hot targets from logits, label smoothing", 657, floats, {**smoothed, "fromLogits": True}, "linear")
    ignored = [(x, [np.where(y > 4, 0, y).astype(np.int32)], w) for x, [y], w in plain()]
    yield run("ignoreClass", 658, ignored, {**SPARSE, "ignoreClass": 0})
    unmasked = textbook(V, E, U)
    unmasked["layers"][0]["options"]["maskZero"] = False
    yield run("ignoreClass without a mask", 659, ignored, {**SPARSE, "ignoreClass": 0}, masked=False, document=unmasked)
    yield run("without a mask", 660, plain(), SPARSE, masked=False, document=unmasked)


def several_outputs():
    document = Document()
    ids = [document.input(["batch", name], "int32") for name in ("first", "second")]
    embedding = document.layer("embedding", inputDim=V, outputDim=E, maskZero=True)
    _, h, c = document.lstm(document.call(embedding, [ids[0]]), units=U, returnState=True)
    y, _, _ = document.lstm(
        document.call(embedding, [ids[1]]), [h, c], units=U, returnSequences=True, returnState=True
    )
    words = document.dense(y, units=V, activation="softmax")
    kind = document.dense(h, units=3)
    document.finish(words, kind)
    batches = []
    for batch in range(BATCHES):
        inputs, goal = sentences(batch)
        batches.append((inputs, [goal, formula.integers(40 + batch, (B,), 0, 3)], [None, None]))
    losses = [SPARSE, {**SPARSE, "fromLogits": True, "weight": 0.5}]
    yield case("two outputs", 680, document.json, batches, ADAM, losses, [True, False])
    by_row = formula.values(92, (B,)) + np.float32(1)
    weighted = [(x, y, [None, by_row]) for x, y, _ in batches]
    yield case("two outputs, sample weights of one", 681, document.json, weighted, ADAM, losses, [True, False])


keras.config.set_floatx("float64")
write("training-variants", ABOUT, cases=[*optimizers(), *losses(), *several_outputs()])
