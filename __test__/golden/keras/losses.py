"""Losses with their gradients by the output, metrics over several batches, and small fits, over random options."""

import keras
import numpy as np
import torch

import formula
from graph import Document, build, provide, write

ABOUT = (
    "losses: outputs are formulaValues(seed, size, scale) + shift of `shape`, positions with mask 0 are masked; targets, sample weights; "
    "`expected` is the loss and its gradient by the outputs. metrics: the same in several batches, with what the metrics give at the end, "
    "without and with sample weights. fits: a model as a graph document with weights formulaValues(seed, size, scale), data, and what the "
    "epochs give. Options and names are those of sconce. Computed in float64."
)
CLASSES = {
    "binaryCrossentropy": keras.losses.BinaryCrossentropy,
    "categoricalCrossentropy": keras.losses.CategoricalCrossentropy,
    "sparseCategoricalCrossentropy": keras.losses.SparseCategoricalCrossentropy,
    "meanSquaredError": keras.losses.MeanSquaredError,
    "meanAbsoluteError": keras.losses.MeanAbsoluteError,
    "meanAbsolutePercentageError": keras.losses.MeanAbsolutePercentageError,
    "meanSquaredLogarithmicError": keras.losses.MeanSquaredLogarithmicError,
    "huber": keras.losses.Huber,
    "logCosh": keras.losses.LogCosh,
    "poisson": keras.losses.Poisson,
    "hinge": keras.losses.Hinge,
    "squaredHinge": keras.losses.SquaredHinge,
    "categoricalHinge": keras.losses.CategoricalHinge,
    "klDivergence": keras.losses.KLDivergence,
    "cosineSimilarity": keras.losses.CosineSimilarity,
}
METRICS = {
    "accuracy": "accuracy",
    "categoricalAccuracy": keras.metrics.CategoricalAccuracy,
    "sparseCategoricalAccuracy": keras.metrics.SparseCategoricalAccuracy,
    "binaryAccuracy": keras.metrics.BinaryAccuracy,
    "topKCategoricalAccuracy": keras.metrics.TopKCategoricalAccuracy,
    "sparseTopKCategoricalAccuracy": keras.metrics.SparseTopKCategoricalAccuracy,
    "precision": keras.metrics.Precision,
    "recall": keras.metrics.Recall,
    "rootMeanSquaredError": keras.metrics.RootMeanSquaredError,
    "meanSquaredError": keras.metrics.MeanSquaredError,
    "meanAbsoluteError": keras.metrics.MeanAbsoluteError,
    "meanAbsolutePercentageError": keras.metrics.MeanAbsolutePercentageError,
    "meanSquaredLogarithmicError": keras.metrics.MeanSquaredLogarithmicError,
    "logCosh": keras.metrics.LogCoshError,
    "poisson": keras.metrics.Poisson,
    "hinge": keras.metrics.Hinge,
    "squaredHinge": keras.metrics.SquaredHinge,
    "categoricalHinge": keras.metrics.CategoricalHinge,
    "klDivergence": keras.metrics.KLDivergence,
    "cosineSimilarity": keras.metrics.CosineSimilarity,
    "binaryCrossentropy": keras.metrics.BinaryCrossentropy,
    "categoricalCrossentropy": keras.metrics.CategoricalCrossentropy,
    "sparseCategoricalCrossentropy": keras.metrics.SparseCategoricalCrossentropy,
}
PROBABILITIES = ("binaryCrossentropy", "categoricalCrossentropy", "sparseCategoricalCrossentropy", "klDivergence")
POSITIVE = ("poisson", "meanSquaredLogarithmicError")


def snake(options):
    return {"".join("_" + c.lower() if c.isupper() else c for c in name): value for name, value in options.items()}


def made(table, document):
    options = snake({name: value for name, value in document.items() if name != "type"})
    if "threshold" in options and document["type"] != "binaryAccuracy":
        options["thresholds"] = options.pop("threshold")
    kind = table[document["type"]]
    return kind if isinstance(kind, str) else kind(**options)


def number(value):
    return float(f"{float(value):.8e}")


def listed(array):
    return {"shape": list(array.shape), "data": [number(v) for v in np.asarray(array).ravel()]}


def outputs(kind, logits, seed, shape):
    """Scale and shift of outputs that the function takes."""
    scale, shift = (0.4, 0.5) if kind in PROBABILITIES and not logits else (0.9, 1.1) if kind in POSITIVE else (2.0, 0.0)
    return formula.values(seed, shape, scale) + np.float32(shift), scale, shift


def targets(kind, seed, shape):
    width = shape[-1]
    if kind == "sparseCategoricalCrossentropy":
        return formula.integers(seed, shape[:-1], 0, width)
    if kind in ("hinge", "squaredHinge", "binaryCrossentropy", "categoricalHinge"):
        return formula.integers(seed, shape, 0, 2).astype(np.float32)
    return formula.values(seed, shape, 0.4) + np.float32(0.5)


def random_weights(choice, seed, shape):
    """What sconce is given, and what Keras takes: a weight for each position."""
    positions = shape[:-1]
    if choice == 0:
        return None, None
    given = formula.values(seed, positions[:1] if choice == 1 else positions) + np.float32(1.1)
    spread = given.reshape(given.shape + (1,) * (len(positions) - given.ndim))
    return given, np.ascontiguousarray(np.broadcast_to(spread, positions), dtype=np.float64)


def random_mask(choice, seed, shape):
    if choice == 0:
        return None
    mask = formula.integers(seed, shape[:-1], 0, 3) > 0
    mask.ravel()[0] = True
    return mask


def masked(tensor, mask):
    if mask is not None:
        keras.src.backend.set_keras_mask(tensor, torch.tensor(mask))
    return tensor


def loss_case(document, seed, shape, choices):
    kind = document["type"]
    x, scale, shift = outputs(kind, document.get("fromLogits", False), seed, shape)
    y = targets(kind, seed + 1, shape)
    mask = random_mask(choices[0] if len(shape) > 2 else 0, seed + 2, shape)
    given, spread = random_weights(choices[1], seed + 3, shape)
    leaf = torch.tensor(x.astype(np.float64), requires_grad=True)
    prediction = masked(leaf * 1.0, mask)
    weights = None if spread is None else torch.tensor(spread)
    loss = made(CLASSES, document)(torch.tensor(y.astype(np.float64)), prediction, sample_weight=weights)
    loss.backward()
    if shape[-1] == 1 and choices[2] == 1 and kind not in ("klDivergence", "cosineSimilarity", "categoricalHinge"):
        y = y.reshape(shape[:-1])
    return {
        "loss": document,
        "shape": list(shape),
        "seed": seed,
        "scale": scale,
        "shift": shift,
        "mask": None if mask is None else mask.astype(int).ravel().tolist(),
        "target": listed(y),
        "sampleWeight": None if given is None else listed(given),
        "expected": {"loss": number(loss.detach()), "gradient": [number(v) for v in leaf.grad.numpy().ravel()]},
    }


def loss_cases():
    documents = [{"type": kind} for kind in CLASSES]
    documents += [
        {"type": "binaryCrossentropy", "fromLogits": True},
        {"type": "binaryCrossentropy", "labelSmoothing": 0.2},
        {"type": "binaryCrossentropy", "fromLogits": True, "labelSmoothing": 0.1},
        {"type": "categoricalCrossentropy", "fromLogits": True, "labelSmoothing": 0.1},
        {"type": "sparseCategoricalCrossentropy", "fromLogits": True},
        {"type": "huber", "delta": 0.4},
        {"type": "huber", "delta": 3},
    ]
    shapes = [(5, 3), (4, 3, 2), (6, 1), (3, 4, 1), (2, 5, 7), (3, 2, 2, 3)]
    cases = []
    for index, document in enumerate(documents):
        for turn, shape in enumerate(shapes):
            seed = 1000 + 100 * index + 10 * turn
            single = ("categoricalCrossentropy", "sparseCategoricalCrossentropy", "cosineSimilarity")
            if shape[-1] == 1 and document["type"] in single:
                continue
            if len(shape) > 3 and document["type"] == "sparseCategoricalCrossentropy":
                continue  # PyTorch does not differentiate Keras' one-hot rows of this rank.
            choices = formula.integers(seed + 5, (3,), 0, 6)
            # Three axes before the classes have no masks here: an embedding of sconce makes none of that rank.
            choices = (choices[0] % 2 if len(shape) < 4 else 0, choices[1] % 3, choices[2] % 2)
            cases.append(loss_case(document, seed, shape, choices))
    return cases


def metric_case(documents, kind, seed, shapes, with_mask, weighted, ids=False):
    """`kind`: the loss whose outputs and targets are made; `ids`: targets of ids."""
    found = [[made(METRICS, document) for document in documents] for _ in range(2)]
    batches = []
    for number_of_batch, shape in enumerate(shapes):
        at = seed + 10 * number_of_batch
        x, scale, shift = outputs(kind, False, at, shape)
        y = targets("sparseCategoricalCrossentropy" if ids else kind, at + 1, shape)
        mask = random_mask(int(with_mask), at + 2, shape)
        given, spread = random_weights(weighted, at + 3, shape)
        for metrics, weights in zip(found, (None, spread)):
            for metric in metrics:
                prediction = masked(torch.tensor(x.astype(np.float64)), mask)
                metric.update_state(
                    torch.tensor(y if ids else y.astype(np.float64)),
                    prediction,
                    sample_weight=None if weights is None else torch.tensor(weights),
                )
        batches.append(
            {
                "shape": list(shape),
                "seed": at,
                "mask": None if mask is None else mask.astype(int).ravel().tolist(),
                "target": listed(y),
                "sampleWeight": None if given is None else listed(given),
            }
        )
    return {
        "metrics": documents,
        "ids": ids,
        "scale": scale,
        "shift": shift,
        "batches": batches,
        "expected": [[number(metric.result()) for metric in metrics] for metrics in found],
    }


def metric_cases():
    probabilities = [
        {"type": "categoricalAccuracy"},
        {"type": "topKCategoricalAccuracy"},
        {"type": "topKCategoricalAccuracy", "k": 2},
        {"type": "binaryAccuracy", "threshold": 0.4},
        {"type": "meanSquaredError"},
        {"type": "meanAbsoluteError"},
        {"type": "meanAbsolutePercentageError"},
        {"type": "meanSquaredLogarithmicError"},
        {"type": "logCosh"},
        {"type": "poisson"},
        {"type": "hinge"},
        {"type": "squaredHinge"},
        {"type": "categoricalHinge"},
        {"type": "klDivergence"},
        {"type": "cosineSimilarity"},
        {"type": "binaryCrossentropy"},
        {"type": "binaryCrossentropy", "labelSmoothing": 0.1},
        {"type": "categoricalCrossentropy"},
        {"type": "categoricalCrossentropy", "labelSmoothing": 0.2},
        {"type": "categoricalCrossentropy", "fromLogits": True},
    ]
    # Keras leaves the mask out of these.
    unmasked = [
        {"type": "rootMeanSquaredError"},
        {"type": "precision"},
        {"type": "recall"},
        {"type": "precision", "threshold": 0.7},
        {"type": "recall", "threshold": 0.2},
    ]
    sparse = [
        {"type": "sparseCategoricalAccuracy"},
        {"type": "sparseTopKCategoricalAccuracy", "k": 3},
        {"type": "sparseCategoricalCrossentropy"},
        {"type": "sparseCategoricalCrossentropy", "fromLogits": True},
    ]
    flat, long, single = [(4, 7), (3, 7)], [(4, 3, 6), (2, 5, 6), (3, 1, 6)], [(5, 1), (4, 1)]
    cases = []
    for turn, weighted in enumerate((0, 1, 2)):
        seed = 9000 + 1000 * turn
        cases.append(metric_case(probabilities + unmasked, "binaryCrossentropy", seed, flat, False, weighted))
        cases.append(metric_case(probabilities, "klDivergence", seed + 100, long, True, weighted))
        cases.append(metric_case(probabilities + unmasked, "binaryCrossentropy", seed + 200, long, False, weighted))
        cases.append(metric_case(sparse, "sparseCategoricalCrossentropy", seed + 300, long, True, weighted, ids=True))
        cases.append(metric_case(sparse, "sparseCategoricalCrossentropy", seed + 400, flat, False, weighted, ids=True))
    binary = [{"type": "binaryAccuracy"}, {"type": "meanSquaredError"}, *unmasked]
    cases.append(metric_case(binary, "binaryCrossentropy", 15000, single, False, 1))
    return cases


def two_outputs():
    document = Document()
    x = document.input(["batch", 4])
    h = document.dense(x, units=5, activation="tanh")
    first = document.dense(h, units=1, activation="sigmoid")
    return document.finish(first, document.dense(h, units=3))


def one_output(units, activation, **options):
    document = Document()
    x = document.input(["batch", 4])
    hidden = document.dense(x, units=6, activation="tanh", **options)
    return document.finish(document.dense(hidden, units=units, activation=activation, **options))


def fit_case(name, document, losses, metrics, ys, class_weight=None, weights=None, loss_weights=None):
    model, layers = build(document)
    described = provide(document, layers, 3, 1.0)
    for layer in document["layers"]:
        penalty = layer["options"].get("activityRegularizer")
        if penalty is not None:
            keras_layer = model.get_layer(layer["name"] + "_layer")
            keras_layer.activity_regularizer = keras.regularizers.L1L2(penalty["l1"], penalty["l2"])
    several = len(losses) > 1
    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=[made(CLASSES, loss) for loss in losses] if several else made(CLASSES, losses[0]),
        metrics=[[made(METRICS, m) for m in metrics] for _ in losses] if several else [made(METRICS, m) for m in metrics],
        weighted_metrics=None if several else [made(METRICS, m) for m in metrics],
        loss_weights=loss_weights,
        jit_compile=False,
        run_eagerly=True,
    )
    x = formula.values(31, (12, 4), 1.0)
    history = model.fit(
        x.astype(np.float64),
        [y.astype(np.float64) for y in ys] if several else ys[0].astype(np.float64),
        batch_size=5,
        epochs=3,
        shuffle=False,
        verbose=0,
        class_weight=class_weight,
        sample_weight=weights,
    ).history
    return {
        "name": name,
        "document": document,
        "weights": described,
        "losses": losses,
        "metrics": metrics,
        "lossWeights": loss_weights,
        "targets": [listed(y) for y in ys],
        "classWeight": class_weight,
        "sampleWeight": None
        if weights is None
        else [listed(w) for w in weights]
        if isinstance(weights, list)
        else listed(weights),
        # The total, then in the order of the outputs and metrics.
        "expected": {"loss": [number(v) for v in history["loss"]], "others": others(history)},
        "final": [[number(v) for v in weight.ravel()] for weight in model.get_weights()],
    }


def others(history):
    return [[number(v) for v in values] for name, values in history.items() if name != "loss"]


def fit_cases():
    labels = formula.integers(41, (12, 1), 0, 2).astype(np.float32)
    numbers = formula.values(42, (12, 3), 1.0)
    ids = formula.integers(43, (12,), 0, 3)
    rows = formula.values(44, (12,), 1.0) + np.float32(1.1)
    squared, binary = {"type": "meanSquaredError"}, {"type": "binaryCrossentropy"}
    accuracy = [{"type": "binaryAccuracy"}]
    error = [{"type": "meanAbsoluteError"}]
    weight = {0: 0.5, 1: 3.0}
    three = {0: 2.0, 2: 0.25}
    sparse = {"type": "sparseCategoricalCrossentropy"}
    return [
        fit_case("regression", one_output(3, "linear"), [squared], error, [numbers]),
        fit_case("regression, weights of rows", one_output(3, "linear"), [{"type": "huber"}], error, [numbers], weights=rows),
        fit_case("labels", one_output(1, "sigmoid"), [binary], accuracy, [labels]),
        fit_case("labels, class weights", one_output(1, "sigmoid"), [binary], accuracy, [labels], class_weight=weight),
        fit_case("labels without their axis", one_output(1, "sigmoid"), [binary], accuracy, [labels[:, 0]]),
        fit_case(
            "labels without their axis, class weights",
            one_output(1, "linear"),
            [{"type": "hinge"}],
            error,
            [labels[:, 0]],
            class_weight=weight,
        ),
        fit_case(
            "ids, class weights",
            one_output(3, "softmax"),
            [sparse],
            [{"type": "sparseCategoricalAccuracy"}],
            [ids],
            class_weight=three,
        ),
        fit_case(
            "several labels, class weights",
            one_output(3, "sigmoid"),
            [binary],
            accuracy,
            [np.abs(numbers)],
            class_weight=three,
        ),
        fit_case(
            "penalties on activities",
            one_output(3, "softmax", activityRegularizer={"type": "l1l2", "l1": 0.02, "l2": 0.05}),
            [sparse],
            error[:0],
            [ids],
        ),
        fit_case(
            "penalties on linear activities",
            one_output(3, "linear", activityRegularizer={"type": "l1l2", "l1": 0, "l2": 0.1}),
            [squared],
            error,
            [numbers],
            weights=rows,
        ),
        fit_case("two outputs", two_outputs(), [binary, squared], error, [labels, numbers], loss_weights=[1.0, 0.3]),
        fit_case("two outputs, weights for both", two_outputs(), [binary, squared], error, [labels, numbers], weights=rows),
        fit_case(
            "two outputs, weights for each",
            two_outputs(),
            [binary, {"type": "cosineSimilarity"}],
            error,
            [labels, numbers],
            weights=[rows, np.ascontiguousarray(rows[::-1])],
        ),
    ]


if __name__ == "__main__":
    keras.backend.set_floatx("float64")
    write("losses", ABOUT, losses=loss_cases(), metrics=metric_cases(), fits=fit_cases())
