"""Losses and metrics over batches of different lengths, as `evaluate` gives them."""

import keras
import numpy as np
import torch

import formula
from graph import Document, build, provide, textbook, write

ABOUT = (
    "evaluation of an untrained model over all batches. weights: formulaValues(seed, size, scale). batches: inputs, targets (ids; with "
    "oneHot they stand for vectors of `classes` numbers), sample weights or null. expected: what Keras' evaluate gives, in float64; "
    "names as in Keras, in camel case."
)
V, E, U, B = 9, 3, 4, 4
NAMES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "sparse_categorical_accuracy": "sparseCategoricalAccuracy",
    "categorical_accuracy": "categoricalAccuracy",
    "binary_accuracy": "binaryAccuracy",
}


def padded(seed, length):
    ids = formula.integers(seed, (B, length), 1, V)
    for row in range(B):
        ids[row, 1 + (row * 2 + seed) % length :] = 0
    return ids


def single(vocabulary, dimension, classes):
    document = Document()
    ids = document.input(["batch", "time"], "int32")
    x = document.embedding(ids, inputDim=vocabulary, outputDim=dimension, maskZero=True)
    return document.finish(document.dense(x, units=classes, activation="softmax"))


def case(name, document, classes, metrics, one_hot=False, weights=None):
    model, layers = build(document)
    described = provide(document, layers, 7, 2.0)
    loss = keras.losses.CategoricalCrossentropy() if one_hot else keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer="sgd", loss=loss, metrics=list(metrics), jit_compile=False, run_eagerly=True)
    batches, data, two = [], [], len(document["inputs"]) == 2
    for number, length in enumerate([3, 5, 2]):
        inputs = ([padded(40 + number, length + 1)] if two else []) + [padded(50 + number, length)]
        goal = formula.integers(60 + number, (B, length), 0, classes if classes > 1 else 2)
        # Every other target is what the model predicts, so that accuracies lie in the middle.
        predicted = np.argmax(model([torch.tensor(x) for x in inputs]).detach().numpy(), -1)
        goal = np.where(formula.integers(80 + number, (B, length), 0, 2) == 1, predicted, goal).astype(np.int32)
        weight = None
        if weights == "rows":
            weight = formula.values(70 + number, (B,)) + 1
        elif weights == "entries":
            weight = np.maximum(formula.values(70 + number, (B, length)), 0)
        if one_hot:
            y = np.eye(classes)[goal] if classes > 1 else goal[..., None].astype(np.float64)
        else:
            y = goal
        spread = None if weight is None else np.broadcast_to(weight.reshape(B, -1), (B, length)).copy()
        data.append(
            (
                tuple(torch.tensor(x) for x in inputs),
                torch.tensor(y),
                None if spread is None else torch.tensor(spread.astype(np.float64)),
            )
        )
        batches.append(
            {
                "inputs": [{"shape": list(x.shape), "data": x.ravel().tolist()} for x in inputs],
                "target": {"shape": list(goal.shape), "data": goal.ravel().tolist()},
                "sampleWeight": None
                if weight is None
                else {"shape": list(weight.shape), "data": [float(f"{v:.7e}") for v in weight.ravel()]},
            }
        )
    logs = model.evaluate((item if item[2] is not None else item[:2] for item in data), return_dict=True, verbose=0)
    return {
        "name": name,
        "document": document,
        "classes": classes,
        "oneHot": one_hot,
        "metrics": [NAMES[metric] for metric in metrics],
        "weights": described,
        "batches": batches,
        "expected": {NAMES[key]: float(f"{float(value):.7e}") for key, value in logs.items()},
    }


if __name__ == "__main__":
    keras.backend.set_floatx("float64")
    sparse, dense = ("accuracy", "sparse_categorical_accuracy"), ("accuracy", "categorical_accuracy", "binary_accuracy")
    write(
        "metrics",
        ABOUT,
        cases=[
            case("masked ids", textbook(V, E, U), V, sparse),
            case("masked ids, weights of rows", textbook(V, E, U), V, sparse, weights="rows"),
            case("masked ids, weights of entries", textbook(V, E, U), V, sparse, weights="entries"),
            case("masked one-hot", single(V, E, 5), 5, dense, one_hot=True),
            case("masked one-hot, weights of entries", single(V, E, 5), 5, dense, one_hot=True, weights="entries"),
            case("one class", single(V, E, 1), 1, ("accuracy", "binary_accuracy"), one_hot=True),
        ],
    )
