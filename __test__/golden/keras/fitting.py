"""`fit` and `evaluate` with regularisers, constraints, averaged weights and accumulated gradients, in float64."""

import keras
import numpy as np

import formula
from graph import Document, build, numbers, provide, variables, write
from optimizers import keras_rule, snake

V, E, U, ROWS, T, BATCH, EPOCHS = 9, 3, 4, 12, 5, 4, 3
ABOUT = (
    f"{EPOCHS} epochs in float64 on inputs formulaIntegers(50, [{ROWS}, {T}]) from 0 to {V - 1} and targets formulaIntegers(51, ...), batches of "
    f"{BATCH} in order, the same data for validation. weights: initial values formulaValues(seed, size, scale), then the values after fit. "
    "history: loss and valLoss of each epoch; evaluated: the loss that evaluate gives then."
)
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adagrad": keras.optimizers.Adagrad,
    "adafactor": keras.optimizers.Adafactor,
    "lamb": keras.optimizers.Lamb,
}
L1L2 = {"type": "l1l2", "l1": 0.01, "l2": 0.02}
L2 = {"type": "l1l2", "l1": 0, "l2": 0.05}
ORTHOGONAL = {"type": "orthogonalRegularizer", "factor": 0.3, "mode": "columns"}
UNIT = {"type": "unitNorm", "axis": 0}
MAXIMUM = {"type": "maxNorm", "maxValue": 0.5, "axis": 1}

CASES = {
    "regularisers everywhere": (
        {"type": "sgd", "learningRate": 0.3, "clipnorm": 0.2},
        {
            "embedding": {"embeddingsRegularizer": L1L2},
            "lstm": {"kernelRegularizer": L2, "recurrentRegularizer": ORTHOGONAL, "biasRegularizer": L1L2},
            "dense": {"kernelRegularizer": ORTHOGONAL, "biasRegularizer": L2},
        },
        None,
    ),
    "constraints everywhere": (
        {"type": "adagrad", "learningRate": 0.1},
        {
            "embedding": {"embeddingsConstraint": MAXIMUM},
            "lstm": {
                "kernelConstraint": UNIT,
                "recurrentConstraint": MAXIMUM,
                "biasConstraint": {"type": "minMaxNorm", "minValue": 0.5, "maxValue": 0.8, "rate": 0.5, "axis": 0},
            },
            "dense": {"kernelConstraint": {"type": "nonNeg"}, "biasConstraint": UNIT},
        },
        None,
    ),
    "averages at the end": (
        {"type": "sgd", "learningRate": 0.3, "momentum": 0.9, "useEma": True, "emaMomentum": 0.8},
        {"dense": {"kernelRegularizer": L2, "kernelConstraint": MAXIMUM}},
        None,
    ),
    "averages in between": (
        {"type": "adafactor", "learningRate": 0.1, "useEma": True, "emaMomentum": 0.6, "emaOverwriteFrequency": 2},
        {"embedding": {"embeddingsRegularizer": L2}},
        None,
    ),
    "accumulated gradients over epochs": (
        {"type": "lamb", "learningRate": 0.05, "gradientAccumulationSteps": 2, "weightDecay": 0.1},
        {"embedding": {"embeddingsRegularizer": L1L2}, "dense": {"biasConstraint": UNIT}},
        None,
    ),
    "a frozen layer has no penalty": (
        {"type": "sgd", "learningRate": 0.3},
        {"embedding": {"embeddingsRegularizer": L2, "embeddingsConstraint": UNIT}, "dense": {"kernelRegularizer": L2}},
        "embedding",
    ),
}


def case(seed, name, optimizer, rules, frozen):
    document = Document()
    ids = document.input(["batch", T], "int32")
    x = document.embedding(ids, inputDim=V, outputDim=E, **rules.get("embedding", {}))
    x = document.lstm(x, units=U, returnSequences=True, **rules.get("lstm", {}))
    document.finish(document.dense(x, units=V, activation="softmax", **rules.get("dense", {})))
    model, layers = build(document.json)
    weights = provide(document.json, layers, seed, 0.6)
    for described, layer in zip(document.json["layers"], layers):
        for weight in layer.weights if layer else []:
            option = "recurrent" if weight.name == "recurrent_kernel" else weight.name
            weight.regularizer = keras_rule(described["options"].get(f"{option}Regularizer"))
            weight.constraint = keras_rule(described["options"].get(f"{option}Constraint"))
        if described["name"] == frozen:
            described["trainable"] = layer.trainable = False
    options = {key: value for key, value in optimizer.items() if key != "type"}
    model.compile(OPTIMIZERS[optimizer["type"]](**snake(options)), "sparse_categorical_crossentropy")
    data = formula.integers(50, (ROWS, T), 0, V), formula.integers(51, (ROWS, T), 0, V)
    history = model.fit(
        *data, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, validation_data=data, validation_batch_size=BATCH
    ).history
    evaluated = model.evaluate(*data, batch_size=BATCH, verbose=0)
    for entry, variable in zip(weights, variables(layers)):
        entry["final"] = numbers(variable.numpy())
    return {
        "name": name,
        "document": document.json,
        "optimizer": optimizer,
        "weights": weights,
        "history": {"loss": numbers(history["loss"], 9), "valLoss": numbers(history["val_loss"], 9)},
        "evaluated": float(evaluated),
    }


keras.config.set_floatx("float64")
write("fitting", ABOUT, cases=[case(seed, name, *parts) for seed, (name, parts) in enumerate(CASES.items(), 800)])
