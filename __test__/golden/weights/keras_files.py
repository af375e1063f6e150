"""Files of weights that Keras 3 writes, and what the models predict; see ../README.md."""

import json
import os
import pathlib
import re
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")
here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "keras"))

import formula  # noqa: E402
import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

# Layers as in TypeScript: type, options, and for those around another layer that one.
sequences = {
    "lstm": [["embedding", {"inputDim": 7, "outputDim": 3}], ["lstm", {"units": 4, "returnSequences": True}], ["dense", {"units": 5, "activation": "softmax"}]],
    "dropout": [["embedding", {"inputDim": 7, "outputDim": 3}], ["lstm", {"units": 4, "dropout": 0.3}], ["dropout", {"rate": 0.2}], ["dense", {"units": 2}]],
    "many-dense": [["embedding", {"inputDim": 7, "outputDim": 2}]] + [["dense", {"units": 2 + index % 2, "activation": "tanh"}] for index in range(12)],
    "gru": [["embedding", {"inputDim": 7, "outputDim": 3}], ["gru", {"units": 4, "returnSequences": True}], ["dense", {"units": 5}]],
    "gru-reset-before": [["embedding", {"inputDim": 7, "outputDim": 3}], ["gru", {"units": 4, "resetAfter": False}], ["dense", {"units": 5}]],
    "simple-rnn": [["embedding", {"inputDim": 7, "outputDim": 3}], ["simpleRnn", {"units": 4, "returnSequences": True}], ["dense", {"units": 5}]],
    "bidirectional-lstm": [["embedding", {"inputDim": 7, "outputDim": 3}], ["bidirectional", {}, ["lstm", {"units": 4, "returnSequences": True}]], ["dense", {"units": 5}]],
    "bidirectional-gru": [["embedding", {"inputDim": 7, "outputDim": 3}], ["bidirectional", {"mergeMode": "sum"}, ["gru", {"units": 4}]], ["dense", {"units": 5}]],
    "layer-normalization": [["embedding", {"inputDim": 7, "outputDim": 6}], ["layerNormalization", {}], ["dense", {"units": 5}]],
    "time-distributed": [["embedding", {"inputDim": 7, "outputDim": 6}], ["timeDistributed", {}, ["dense", {"units": 5}]], ["dense", {"units": 2}]],
}  # fmt: skip

classes = {
    "embedding": keras.layers.Embedding,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "simpleRnn": keras.layers.SimpleRNN,
    "dense": keras.layers.Dense,
    "dropout": keras.layers.Dropout,
    "bidirectional": keras.layers.Bidirectional,
    "layerNormalization": keras.layers.LayerNormalization,
    "timeDistributed": keras.layers.TimeDistributed,
}


def snake(name):
    return re.sub("[A-Z]", lambda match: "_" + match[0].lower(), name)


def layer_of(kind, options, inner=None):
    arguments = {snake(key): value for key, value in options.items()}
    return classes[kind](*([] if inner is None else [layer_of(*inner)]), **arguments)


def fill(model):
    for index, weight in enumerate(model.weights):
        if not weight.path.endswith("seed_generator_state"):
            weight.assign(formula.values(100 + index, weight.shape, 0.9))


def saved(name, model, inputs, formats):
    for ending in formats:
        path = here / f"keras-{name}{ending}"
        if ending == ".keras":
            model.save(path)
        else:
            model.save_weights(path)
    output = np.asarray(model(*inputs if len(inputs) == 1 else [inputs]).detach(), dtype=np.float64)
    return {"name": name, "shape": output.shape, "output": [float(f"{value:.8g}") for value in output.flatten()]}


cases = []
for name, specification in sequences.items():
    keras.utils.clear_session()
    ids = keras.Input((None,), dtype="int32")
    tensor = ids
    for part in specification:
        tensor = layer_of(*part)(tensor)
    model = keras.Model(ids, tensor)
    fill(model)
    case = saved(name, model, [formula.integers(1, (2, 6), 1, 7)], [".weights.h5"])
    cases.append({**case, "layers": specification})

keras.utils.clear_session()
layers = keras.layers
reader, writer = keras.Input((None,), dtype="int32", name="reader"), keras.Input((None,), dtype="int32", name="writer")
_, h, c = layers.LSTM(5, return_state=True, name="encoder")(layers.Embedding(8, 4, mask_zero=True, name="words")(reader))
states = layers.LSTM(5, return_sequences=True, name="decoder")(layers.Embedding(9, 4, name="characters")(writer), initial_state=[h, c])
model = keras.Model([reader, writer], layers.Dense(9, activation="softmax", name="next")(states))
fill(model)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
data = [formula.integers(1, (2, 6), 1, 8), formula.integers(2, (2, 4), 1, 9)]
model.fit(data, formula.integers(3, (2, 4), 1, 9), verbose=0)  # Files then hold the state of the optimizer too.
fill(model)
textbook = saved("textbook", model, data, [".weights.h5", ".keras"])

(here / "keras.json").write_text(json.dumps({"keras": keras.__version__, "sequences": cases, "textbook": textbook}, indent=1))

# Ways of storing that Keras does not use by itself.
values = np.arange(7 * 11, dtype="f4").reshape(7, 11)
for version in ("earliest", "v110", "latest"):
    with h5py.File(here / f"hdf5-{version}.h5", "w", libver=version) as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "plain"
        group.create_dataset("0", data=values)
        if version == "earliest":
            group.create_dataset("1", data=values, chunks=(3, 4), compression="gzip", shuffle=True, fletcher32=True)
            group.create_dataset("2", data=values.astype("f2"))
            group.create_dataset("3", data=values.astype(">f8"))
            group.create_dataset("4", data=np.arange(30, dtype="f4").reshape(2, 3, 5), chunks=(2, 2, 2))
            group.create_dataset("5", data=np.float32(4))
            group.create_dataset("6", data=values.astype("i4"))
            group.create_dataset("7", (3,), "f4")
with h5py.File(here / "hdf5-dense-links.h5", "w", libver="latest") as file:
    for index in range(20):
        file.create_group(f"layers/{index}")
