"""Keras models from graph documents (docs/graph.md), and the pieces that the golden scripts share."""

import json
import os
import re

import keras
import numpy as np

import formula

HERE = os.path.dirname(os.path.abspath(__file__))
PROVIDED = {"type": "provided"}
RECURRENT = {
    "activation": "tanh",
    "useBias": True,
    "kernelInitializer": PROVIDED,
    "recurrentInitializer": PROVIDED,
    "biasInitializer": PROVIDED,
    "dropout": 0,
    "recurrentDropout": 0,
    "returnSequences": False,
    "returnState": False,
    "goBackwards": False,
    "zeroOutputForMask": False,
}
DEFAULTS = {
    "embedding": {"maskZero": False, "embeddingsInitializer": PROVIDED},
    "lstm": {
        "activation": "tanh",
        "recurrentActivation": "sigmoid",
        "useBias": True,
        "unitForgetBias": True,
        **RECURRENT,
    },
    "gru": {"activation": "tanh", "recurrentActivation": "sigmoid", "resetAfter": True, **RECURRENT},
    "simpleRnn": RECURRENT,
    "dense": {
        "activation": "linear",
        "useBias": True,
        "kernelInitializer": PROVIDED,
        "biasInitializer": PROVIDED,
    },
    "concatenate": {"axis": -1},
}


MERGES = {
    "add": keras.layers.Add,
    "subtract": keras.layers.Subtract,
    "multiply": keras.layers.Multiply,
    "average": keras.layers.Average,
    "maximum": keras.layers.Maximum,
    "minimum": keras.layers.Minimum,
}


STATES = {"lstm": 2, "gru": 1, "simpleRnn": 1}


class Document:
    """Writes a graph document; every method returns references to the outputs of one node."""

    def __init__(self):
        self.json = {"format": "sconce-graph", "version": 1, "layers": [], "nodes": [], "inputs": [], "outputs": []}

    def layer(self, type, **options):
        """Adds a layer without calling it; returns its index."""
        layers = self.json["layers"]
        name = f"{type}{sum(l['type'] == type for l in layers) or ''}"
        options = {**DEFAULTS.get(type, {}), **options}
        layers.append({"name": name, "type": type, "trainable": True, "options": options})
        return len(layers) - 1

    def call(self, layer, inputs=(), outputs=1, call=None):
        said = {} if call is None else {"call": call}
        self.json["nodes"].append({"layer": layer, "inputs": list(inputs), **said})
        references = [[len(self.json["nodes"]) - 1, i] for i in range(outputs)]
        return references[0] if outputs == 1 else references

    def input(self, shape, dtype="float32"):
        reference = self.call(self.layer("input", shape=shape, dtype=dtype))
        self.json["inputs"].append(reference)
        return reference

    def embedding(self, x, **options):
        return self.call(self.layer("embedding", **options), [x])

    def lstm(self, x, state=(), **options):
        return self.recurrent("lstm", x, state, **options)

    def recurrent(self, type, x, state=(), **options):
        """type: a key of STATES."""
        outputs = 1 + STATES[type] * options.get("returnState", False)
        return self.call(self.layer(type, **options), [x, *state], outputs)

    def bidirectional(self, type, x, state=(), mode="concat", backward=None, **options):
        """backward: options in which the layer of the other direction differs."""

        def side(name, options):
            options = {**DEFAULTS[type], **options, "zeroOutputForMask": options.get("returnSequences", False)}
            return {"name": f"{name}_{type}", "type": type, "trainable": True, "options": options}

        layer = self.layer(
            "bidirectional",
            layer=side("forward", options),
            backwardLayer=side("backward", {**options, "goBackwards": True, **(backward or {})}),
            mergeMode=mode,
        )
        outputs = (2 if mode is None else 1) + 2 * STATES[type] * options.get("returnState", False)
        return self.call(layer, [x, *state], outputs)

    def dense(self, x, **options):
        return self.call(self.layer("dense", **options), [x])

    def activation(self, x, activation):
        return self.call(self.layer("activation", activation=activation), [x])

    def concatenate(self, *inputs, axis=-1):
        return self.call(self.layer("concatenate", axis=axis), inputs)

    def repeat_vector(self, x, n):
        return self.call(self.layer("repeatVector", n=n), [x])

    def merge(self, type, *inputs):
        """type: a key of MERGES."""
        return self.call(self.layer(type), inputs)

    def add(self, *inputs):
        return self.merge("add", *inputs)

    def finish(self, *outputs):
        self.json["outputs"] = list(outputs)
        return self.json


def textbook(vocabulary, dimension, units, activation="softmax"):
    """The encoder-decoder with one embedding for both sides."""
    document = Document()
    embedding = document.layer("embedding", inputDim=vocabulary, outputDim=dimension, maskZero=True)
    source = document.input(["batch", "source"], "int32")
    _, h, c = document.lstm(document.call(embedding, [source]), units=units, returnState=True)
    target = document.input(["batch", "target"], "int32")
    y, _, _ = document.lstm(
        document.call(embedding, [target]), [h, c], units=units, returnSequences=True, returnState=True
    )
    return document.finish(document.dense(y, units=vocabulary, activation=activation))


def _activation(name):
    if name == "geluTanh":
        return lambda x: keras.activations.gelu(x, approximate=True)
    return re.sub("(?<=.)([A-Z])", lambda match: "_" + match[1].lower(), name)


def _recurrent(type, o, name):
    common = {
        "activation": _activation(o["activation"]),
        "use_bias": o["useBias"],
        "return_sequences": o["returnSequences"],
        "return_state": o["returnState"],
        "go_backwards": o["goBackwards"],
        "zero_output_for_mask": o["zeroOutputForMask"],
        "name": name,
    }
    if type == "simpleRnn":
        return keras.layers.SimpleRNN(o["units"], **common)
    common |= {"recurrent_activation": _activation(o["recurrentActivation"]), "use_cudnn": False}
    if type == "gru":
        return keras.layers.GRU(o["units"], reset_after=o["resetAfter"], **common)
    return keras.layers.LSTM(o["units"], **common)


def _layer(layer):
    o, name = layer["options"], layer["name"] + "_layer"  # Keras itself names operations "concatenate"
    match layer["type"]:
        case "embedding":
            return keras.layers.Embedding(o["inputDim"], o["outputDim"], mask_zero=o["maskZero"], name=name)
        case type if type in STATES:
            return _recurrent(type, o, name)
        case "bidirectional":
            forward, backward = (_layer(o[side]) for side in ("layer", "backwardLayer"))
            return keras.layers.Bidirectional(forward, o["mergeMode"], backward_layer=backward, name=name)
        case "dense":
            return keras.layers.Dense(
                o["units"], activation=_activation(o["activation"]), use_bias=o["useBias"], name=name
            )
        case "activation":
            return keras.layers.Activation(_activation(o["activation"]), name=name)
        case "repeatVector":
            return keras.layers.RepeatVector(o["n"], name=name)
        case "concatenate":
            return keras.layers.Concatenate(o["axis"], name=name)
        case type if type in MERGES:
            return MERGES[type](name=name)
    import attention
    import sequences

    if layer["type"] in attention.TYPES:
        return attention.layer(layer)
    return sequences.layer(layer, _layer)


def build(document):
    """Returns the Keras model and its layers in the document's order (None for inputs).

    A recurrent layer gets the mask of its sequence passed explicitly: with initial states Keras would drop an implicit one.
    """
    layers = [None if layer["type"] == "input" else _layer(layer) for layer in document["layers"]]
    values = {}
    for index, node in enumerate(document["nodes"]):
        inputs = [values[tuple(reference)] for reference in node["inputs"]]
        described, layer = document["layers"][node["layer"]], layers[node["layer"]]
        if layer is None:
            o = described["options"]
            shape = [None if isinstance(d, str) else d for d in o["shape"]]
            outputs = keras.Input(batch_shape=shape, dtype=o["dtype"])
        elif described["type"] in (*STATES, "bidirectional"):
            mask = getattr(inputs[0], "_keras_mask", None)
            outputs = layer(inputs[0], initial_state=inputs[1:] or None, mask=mask)
        elif described["type"] == "softmax":
            outputs = layer(inputs[0], mask=inputs[1] if len(inputs) > 1 else None)
        elif "call" in node:
            import attention

            outputs = attention.call(described["type"], layer, inputs, node["call"])
        else:
            outputs = layer(inputs if len(inputs) > 1 else inputs[0])
        for slot, output in enumerate(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
            values[index, slot] = output
    model = keras.Model(
        [values[tuple(reference)] for reference in document["inputs"]],
        [values[tuple(reference)] for reference in document["outputs"]],
    )
    return model, layers


CAMEL = {
    "recurrent_kernel": "recurrentKernel",
    "attention_output": "attentionOutput",
    "concat_score_weight": "concatScoreWeight",
}


def provide(document, layers, seed, scale):
    """Sets all weights by formula, seeds counting up from 1000 * seed, and returns their descriptions."""
    described = []
    for layer, keras_layer in zip(document["layers"], layers):
        for index, weight in enumerate(keras_layer.weights if keras_layer else []):
            side = ""
            if layer["type"] == "bidirectional":
                forward = index < len(keras_layer.forward_layer.weights)
                side = layer["options"]["layer" if forward else "backwardLayer"]["name"] + "/"
            if layer["type"] in ("multiHeadAttention", "groupedQueryAttention"):
                projection = weight.path.split("/")[-2]
                side = CAMEL.get(projection, projection) + "/"
            entry = {
                "layer": layer["name"],
                "name": side + CAMEL.get(weight.name, weight.name),
                "shape": list(weight.shape),
                "seed": 1000 * seed + len(described),
                "scale": scale,
            }
            weight.assign(formula.values(entry["seed"], entry["shape"], scale))
            described.append(entry)
    return described


def variables(layers):
    return [weight for layer in layers if layer for weight in layer.weights]


def numbers(array, digits=7):
    """A flat list, rounded to significant digits."""
    return [float(f"{value:.{digits - 1}e}") for value in np.asarray(array, np.float64).ravel()]


def write(name, about, **fields):
    """Writes name.json: one line a field, one line an element of a field that is a list of objects."""

    def compact(value):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return re.sub(r"(?<=[\[,:])(-?\d+)\.0(?=[\],}])", r"\1", text)

    made = f"Keras {keras.__version__}, backend {keras.backend.backend()}, by __test__/golden/keras/"
    lines = ["{", f'"about":{compact(about)},', f'"made":{compact(made)},']
    for index, (key, value) in enumerate(fields.items()):
        end = "" if index == len(fields) - 1 else ","
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f'"{key}":[', ",\n".join(compact(element) for element in value), f"]{end}"]
        else:
            lines.append(f'"{key}":{compact(value)}{end}')
    text = "\n".join([*lines, "}", ""])
    path = os.path.join(HERE, f"{name}.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{name}.json: {len(text.encode()) / 1000:.0f} kB")
