"""Keras objects from descriptions in sconce's words: `{ "type": "gru", "options": { "units": 3 } }`."""

import re

import keras

CLASSES = {
    "embedding": keras.layers.Embedding,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "simpleRnn": keras.layers.SimpleRNN,
    "bidirectional": keras.layers.Bidirectional,
    "timeDistributed": keras.layers.TimeDistributed,
    "dense": keras.layers.Dense,
    "activation": keras.layers.Activation,
    "softmax": keras.layers.Softmax,
    "layerNormalization": keras.layers.LayerNormalization,
    "globalAveragePooling1d": keras.layers.GlobalAveragePooling1D,
    "globalMaxPooling1d": keras.layers.GlobalMaxPooling1D,
    "masking": keras.layers.Masking,
    "spatialDropout1d": keras.layers.SpatialDropout1D,
    "dropout": keras.layers.Dropout,
    "repeatVector": keras.layers.RepeatVector,
    "reshape": keras.layers.Reshape,
    "flatten": keras.layers.Flatten,
    "permute": keras.layers.Permute,
    "dot": keras.layers.Dot,
    "add": keras.layers.Add,
    "subtract": keras.layers.Subtract,
    "multiply": keras.layers.Multiply,
    "average": keras.layers.Average,
    "maximum": keras.layers.Maximum,
    "minimum": keras.layers.Minimum,
    "concatenate": keras.layers.Concatenate,
    "l1": keras.regularizers.L1,
    "l2": keras.regularizers.L2,
    "l1L2": keras.regularizers.L1L2,
    "maxNorm": keras.constraints.MaxNorm,
    "nonNeg": keras.constraints.NonNeg,
    "unitNorm": keras.constraints.UnitNorm,
    "minMaxNorm": keras.constraints.MinMaxNorm,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adagrad": keras.optimizers.Adagrad,
    "adadelta": keras.optimizers.Adadelta,
    "adamax": keras.optimizers.Adamax,
    "nadam": keras.optimizers.Nadam,
    "adafactor": keras.optimizers.Adafactor,
    "lion": keras.optimizers.Lion,
    "categoricalCrossentropy": keras.losses.CategoricalCrossentropy,
    "sparseCategoricalCrossentropy": keras.losses.SparseCategoricalCrossentropy,
    "binaryCrossentropy": keras.losses.BinaryCrossentropy,
    "meanSquaredError": keras.losses.MeanSquaredError,
    "meanAbsoluteError": keras.losses.MeanAbsoluteError,
    "klDivergence": keras.losses.KLDivergence,
    "cosineSimilarity": keras.losses.CosineSimilarity,
}
METRICS = {
    "accuracy": lambda **options: "accuracy",
    "categoricalAccuracy": keras.metrics.CategoricalAccuracy,
    "sparseCategoricalAccuracy": keras.metrics.SparseCategoricalAccuracy,
    "binaryAccuracy": keras.metrics.BinaryAccuracy,
    "topKCategoricalAccuracy": keras.metrics.TopKCategoricalAccuracy,
    "sparseTopKCategoricalAccuracy": keras.metrics.SparseTopKCategoricalAccuracy,
    "meanSquaredError": keras.metrics.MeanSquaredError,
    "meanAbsoluteError": keras.metrics.MeanAbsoluteError,
    "rootMeanSquaredError": keras.metrics.RootMeanSquaredError,
    "binaryCrossentropy": keras.metrics.BinaryCrossentropy,
    "categoricalCrossentropy": keras.metrics.CategoricalCrossentropy,
    "sparseCategoricalCrossentropy": keras.metrics.SparseCategoricalCrossentropy,
    "klDivergence": keras.metrics.KLDivergence,
    "cosineSimilarity": keras.metrics.CosineSimilarity,
}
NAMES = {"beta1": "beta_1", "beta2": "beta_2", "beta2Decay": "beta_2_decay", "epsilon1": "epsilon_1", "epsilon2": "epsilon_2"}


def snake(name):
    return NAMES.get(name) or re.sub("(?<=.)([A-Z])", lambda match: "_" + match[1].lower(), name)


def _value(key, value):
    if isinstance(value, dict):
        return make(value)
    if key.lower().endswith("activation"):
        return snake(value)
    return tuple(value) if isinstance(value, list) else value


def make(description, classes=CLASSES, **more):
    options = {snake(key): _value(key, value) for key, value in description.get("options", {}).items()}
    return classes[description["type"]](**options, **more)


def metric(description):
    return make(description, METRICS)
