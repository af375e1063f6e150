"""Layers along time: normalisation, poolings, masks from values, softmax over axes, layers at each step."""

import itertools

import keras
import numpy as np

from graph import PROVIDED, Document

NORMALIZATION = {
    "axis": [-1],
    "epsilon": 1e-3,
    "center": True,
    "scale": True,
    "betaInitializer": PROVIDED,
    "gammaInitializer": PROVIDED,
}
POOLING = {"dataFormat": "channelsLast", "keepdims": False}

PADDING = {
    "right": [[3, 1, 4, 2, 5], [2, 6, 1, 0, 0], [4, 0, 0, 0, 0]],
    "left": [[3, 1, 4, 2, 5], [0, 0, 2, 6, 1], [0, 0, 0, 0, 4]],
    "holes": [[3, 0, 4, 0, 5], [0, 2, 0, 6, 0], [1, 0, 0, 0, 2]],
}


def layer(document, make):
    """The Keras layer of a layer document; `make` makes layers within layers."""
    o, name = document["options"], document["name"] + "_layer"
    data_format = "channels_first" if o.get("dataFormat") == "channelsFirst" else "channels_last"
    match document["type"]:
        case "layerNormalization":
            return keras.layers.LayerNormalization(
                axis=o["axis"], epsilon=o["epsilon"], center=o["center"], scale=o["scale"], name=name
            )
        case "globalAveragePooling1d":
            return keras.layers.GlobalAveragePooling1D(data_format, o["keepdims"], name=name)
        case "globalMaxPooling1d":
            return keras.layers.GlobalMaxPooling1D(data_format, o["keepdims"], name=name)
        case "masking":
            return keras.layers.Masking(o["maskValue"], name=name)
        case "softmax":
            return keras.layers.Softmax(o["axis"], name=name)
        case "dropout":
            return keras.layers.Dropout(o["rate"], name=name)
        case "spatialDropout1d":
            return keras.layers.SpatialDropout1D(o["rate"], name=name)
        case "timeDistributed":
            return keras.layers.TimeDistributed(make(o["layer"]), name=name)
    raise ValueError(document["type"])


def normalized(case, rounded):
    shapes = [((3, 5), [-1]), ((2, 3, 4), [-1]), ((2, 3, 4), [-2, -1]), ((2, 3, 4), [1, 2]), ((2, 2, 3, 4), [1, 3])]
    shapes += [((1, 1, 17), [2]), ((2, 3, 2, 2), [-1])]
    for seed, ((shape, axis), (center, scale)) in enumerate(
        itertools.product(shapes, itertools.product([True, False], repeat=2)), 800
    ):
        document = Document()
        known = {axis % len(shape) for axis in axis}
        x = document.input(["batch", *(size if at in known else f"size{at}" for at, size in enumerate(shape) if at > 0)])
        options = {**NORMALIZATION, "axis": axis, "center": center, "scale": scale, "epsilon": [1e-3, 0.5][seed % 2]}
        y = document.call(document.layer("layerNormalization", **options), [x])
        said = f"layerNormalization over {axis} of {shape} center {center} scale {scale}"
        yield case(said, document.finish(y), [shape], seed, 1)
    document = Document()
    x = document.embedding(document.input(["batch", "time"], "int32"), inputDim=7, outputDim=3, maskZero=True)
    shared = document.layer("layerNormalization", **NORMALIZATION)
    y = document.call(shared, [x])
    z = document.call(shared, [document.lstm(y, units=3, returnSequences=True)])
    yield case("layerNormalization called twice, masked", document.finish(y, z), [np.array(PADDING["left"], np.int32)], 890, 1)


def pooled(case, rounded):
    types = ("globalAveragePooling1d", "globalMaxPooling1d")
    formats = ("channelsLast", "channelsFirst")
    for seed, (type, format, keepdims) in enumerate(itertools.product(types, formats, [False, True]), 900):
        for number, shape in enumerate([(2, 4, 3), rounded((3, 5, 2))]):
            document = Document()
            axes = ["time", shape[2]] if format == "channelsLast" else [shape[1], "time"]
            x = document.input(["batch", *axes])
            y = document.call(document.layer(type, dataFormat=format, keepdims=keepdims), [x])
            yield case(f"{type} {format} {keepdims} {number}", document.finish(y), [shape], 10 * seed + number)
    for seed, (type, padding) in enumerate(itertools.product(types, PADDING), 950):
        document = Document()
        x = document.embedding(document.input(["batch", "time"], "int32"), inputDim=7, outputDim=3, maskZero=True)
        y = document.call(document.layer(type, **POOLING), [x])
        yield case(f"{type} masked {padding}", document.finish(y, x), [np.array(PADDING[padding], np.int32)], seed)


def masked(case, rounded):
    for seed, (value, width) in enumerate(itertools.product([0.0, 1.0, -1.0, 0.25], [1, 2]), 1000):
        document = Document()
        x = document.call(document.layer("masking", maskValue=value), [document.input(["batch", "time", width])])
        y = document.lstm(x, units=2, returnSequences=True)
        yield case(f"masking of {value} width {width}", document.finish(x, y), [rounded((4, 6, width))], seed, 1)
    document = Document()
    x = document.call(document.layer("masking", maskValue=0.0), [document.input(["batch", "time", "more", 1])])
    yield case("masking of four axes", document.finish(x), [rounded((2, 3, 4, 1))], 1010)
    document = Document()
    x = document.embedding(document.input(["batch", "time"], "int32"), inputDim=7, outputDim=2, maskZero=True)
    y = document.call(document.layer("masking", maskValue=0.5), [x])
    y = document.call(document.layer("spatialDropout1d", rate=0.5), [y])
    yield case("masking of what is masked, spatialDropout1d", document.finish(y), [np.array(PADDING["holes"], np.int32)], 1011)


def softmaxes(case, rounded):
    for seed, shape in enumerate([(3, 4), (2, 3, 4)], 1190):
        document = Document()
        x = document.input(["batch", *shape[1:]])
        y = document.dense(x, units=5, activation="logSoftmax")
        yield case(f"logSoftmax of {shape}", document.finish(y, document.activation(x, "logSoftmax")), [shape], seed, 2)
    shapes = [((3, 4), [-1]), ((2, 3, 4), [-1]), ((2, 3, 4), [1]), ((2, 3, 4), [1, 2]), ((2, 3, 2, 4), [1, -1])]
    for seed, (shape, axis) in enumerate(shapes, 1100):
        document = Document()
        y = document.call(document.layer("softmax", axis=axis), [document.input(["batch", *shape[1:]])])
        yield case(f"softmax over {axis} of {shape}", document.finish(y), [shape], seed)
        for number, kept in enumerate([shape, (shape[0], 1, *shape[2:]), (*shape[:-1], 1)]):
            document = Document()
            inputs = [document.input(["batch", *shape[1:]]), document.input(["batch", *kept[1:]], "int32")]
            y = document.call(document.layer("softmax", axis=axis), inputs)
            mask = np.random.default_rng(seed).integers(-1, 3, kept).astype(np.int32)
            mask[0] = -number  # nothing counts
            said = f"softmax over {axis} of {shape} with a mask {kept}"
            made = case(said, document.finish(y), [shape, mask], 10 * seed + number)
            # Keras attaches to the output what it was given as a mask, which is over elements and no mask of positions.
            made["outputs"][0].pop("mask", None)
            yield made


def time_distributed(case, rounded):
    """Documents of the inner layers are made as those of any layer."""

    def inner(type, **options):
        document = Document()
        document.layer(type, **options)
        return document.json["layers"][0]

    free = [
        ((2, 3, 4), inner("dense", units=2, activation="tanh")),
        ((2, 1, 4), inner("dense", units=3, activation="softmax", useBias=False)),
        ((2, 3, 4), inner("layerNormalization", **NORMALIZATION)),
        ((2, 3, 2, 4), inner("layerNormalization", **{**NORMALIZATION, "axis": [1, 2]})),
        ((2, 3, 2, 4), inner("softmax", axis=[1])),
        ((2, 3, 4), inner("activation", activation="selu")),
        ((2, 3, 4), inner("dropout", rate=0.5)),
        ((2, 3, 4), inner("repeatVector", n=3)),
        ((2, 3, 4, 2), inner("lstm", units=3)),
        ((2, 3, 4, 2), inner("lstm", units=2, returnSequences=True, goBackwards=True)),
        ((2, 3, 4, 2), inner("globalAveragePooling1d", **POOLING)),
        ((2, 3, 4, 2), inner("globalMaxPooling1d", **{**POOLING, "keepdims": True})),
        ((2, 3, 4, 2), inner("spatialDropout1d", rate=0.5)),
        ((2, 3, 2, 2, 3), inner("timeDistributed", layer=inner("dense", units=2))),
        ((2, 3, 2, 2, 3), inner("timeDistributed", layer=inner("lstm", units=2))),
        ((2, 3, 2, 4), inner("timeDistributed", layer=inner("layerNormalization", **NORMALIZATION))),
    ]
    for seed, (shape, layer) in enumerate(free, 1200):
        document = Document()
        y = document.call(document.layer("timeDistributed", layer=layer), [document.input(["batch", *shape[1:]])])
        yield case(f"timeDistributed {layer['type']} of {shape} {seed}", document.finish(y), [shape], seed, 1)
    words = np.array([[[3, 1, 0], [2, 0, 0]], [[4, 5, 6], [0, 1, 0]], [[0, 0, 2], [6, 0, 1]]], np.int32)
    document = Document()
    layer = inner("embedding", inputDim=7, outputDim=2, maskZero=True)
    y = document.call(document.layer("timeDistributed", layer=layer), [document.input(["batch", 2, 3], "int32")])
    yield case("timeDistributed embedding", document.finish(y), [words], 1230)
    for seed, type in enumerate(["dense", "layerNormalization", "masking"], 1231):
        options = {"dense": {"units": 2}, "layerNormalization": NORMALIZATION, "masking": {"maskValue": 0.5}}[type]
        document = Document()
        x = document.embedding(document.input(["batch", 5], "int32"), inputDim=7, outputDim=3, maskZero=True)
        y = document.call(document.layer("timeDistributed", layer=inner(type, **options)), [x])
        z = document.lstm(y, units=2, returnSequences=True)
        yield case(f"timeDistributed {type} masked", document.finish(y, z), [np.array(PADDING["holes"], np.int32)], seed, 1)
    pooling = inner("globalAveragePooling1d", **POOLING)
    sequences = inner("lstm", units=2, returnSequences=True)
    for seed, layer in enumerate([sequences, inner("lstm", units=2), pooling], 1240):
        document = Document()
        x = document.embedding(document.input(["batch", 2, 3], "int32"), inputDim=7, outputDim=3, maskZero=True)
        y = document.call(document.layer("timeDistributed", layer=layer), [x])
        made = case(f"timeDistributed {layer['type']} of masked words {seed}", document.finish(y), [words], seed, 1)
        # Keras leaves the mask of the words also where the output has none. A step counts if any of its words does.
        if layer is not sequences:
            mask = np.array(made["outputs"][0]["mask"]).reshape(words.shape)
            made["outputs"][0]["mask"] = mask.any(-1).astype(int).ravel().tolist()
        yield made


MAKERS = (normalized, pooled, masked, softmaxes, time_distributed)
