"""Attention layers with random options: masks of all kinds, causal or not, of sequences to themselves and to others."""

import random

import keras
import numpy as np

from graph import PROVIDED, Document

PROJECTED = {
    "dropout": 0,
    "useBias": True,
    "kernelInitializer": {"type": "glorotUniform"},
    "biasInitializer": {"type": "zeros"},
}
TYPES = ("multiHeadAttention", "groupedQueryAttention", "attention", "additiveAttention")


def layer(document):
    """The Keras layer of a layer document."""
    o, name = document["options"], document["name"] + "_layer"
    match document["type"]:
        case "multiHeadAttention":
            return keras.layers.MultiHeadAttention(
                o["numHeads"],
                o["keyDim"],
                value_dim=o["valueDim"],
                dropout=o["dropout"],
                use_bias=o["useBias"],
                output_shape=o["outputShape"],
                attention_axes=o.get("attentionAxes"),
                sliding_window=o.get("slidingWindow"),
                use_gate=o.get("useGate", False),
                name=name,
            )
        case "groupedQueryAttention":
            return keras.layers.GroupQueryAttention(
                o["headDim"],
                o["numQueryHeads"],
                o["numKeyValueHeads"],
                dropout=o["dropout"],
                use_bias=o["useBias"],
                sliding_window=o.get("slidingWindow"),
                use_gate=o.get("useGate", False),
                name=name,
            )
        case "attention":
            return keras.layers.Attention(o["useScale"], o["scoreMode"], o["dropout"], name=name)
        case "additiveAttention":
            return keras.layers.AdditiveAttention(o["useScale"], o["dropout"], name=name)
    raise ValueError(document["type"])


def call(type, made, inputs, said):
    """Calls a Keras layer as the document says."""
    tensors = dict(zip(said["inputs"], inputs))
    options = {
        "use_causal_mask": said["useCausalMask"],
        "return_attention_scores": said["returnAttentionScores"],
    }
    if type in ("attention", "additiveAttention"):
        return made(list(inputs), **options)
    return made(
        tensors["query"],
        tensors["value"],
        key=tensors.get("key"),
        attention_mask=tensors.get("attentionMask"),
        **options,
    )


class Sequences:
    """Random sequences as inputs of a document."""

    def __init__(self, chosen, document):
        self.chosen, self.document, self.values = chosen, document, []
        self.batch = chosen.choice([1, 2, 3])

    def ids(self, steps):
        """Ids of which some are 0: behind, before or anywhere."""
        kind = self.chosen.choice(["full", "right", "left", "holes"])
        rows = np.array([[self.chosen.randint(1, 6) for _ in range(steps)] for _ in range(self.batch)], np.int32)
        for row in rows:
            if kind == "holes":
                row[[self.chosen.random() < 0.4 for _ in row]] = 0
            elif kind != "full":
                count = self.chosen.randint(0, steps - 1)
                row[: count if kind == "left" else 0] = 0
                row[steps - (count if kind == "right" else 0) :] = 0
        return rows

    def sequence(self, steps, width, masked=None, name="time"):
        """A sequence that comes with the batch, or of an embedding that masks."""
        masked = self.chosen.random() < 0.6 if masked is None else masked
        if not masked:
            self.values.append((self.batch, steps, width))
            return self.document.input(["batch", name, width]), False
        self.values.append(self.ids(steps))
        ids = self.document.input(["batch", name], "int32")
        return self.document.embedding(ids, inputDim=7, outputDim=width, maskZero=True), True

    def mask(self, shape, keys):
        """A mask of pairs; numbers other than 1 count too."""
        values = [self.chosen.choice([0, 1, 1, 2]) for _ in range(int(np.prod(shape)))]
        self.values.append(np.array(values, np.int32).reshape(shape))
        return self.document.input(["batch", *shape[1:-2], "queries", keys], "int32")


def seen(batch, inputs, causal, queries, keys, window=None):
    """Whether every query that counts sees a key."""
    pairs = np.ones((batch, 1, queries, keys), bool)
    if window is not None:
        pairs &= np.abs(np.arange(queries)[:, None] - np.arange(keys)) < window
    if causal:
        pairs &= np.tril(np.ones((queries, keys), bool))
    counts = np.ones((batch, queries), bool)
    for role, value in inputs:
        if isinstance(value, tuple):
            continue
        if role == "attentionMask":
            pairs = pairs & (value.reshape(batch, -1, queries, keys) != 0)
        elif role == "query":
            counts = value != 0
        else:
            pairs = pairs & (value != 0)[:, None, None, :]
    return (pairs.any(-1).all(1) | ~counts).all()


def projected(case, chosen, seed, type, limited=False):
    """One case of a layer with projections, limited: with a window or a gate or both; none where gradients are those of the backend.

    A query that sees no key averages all values, as if all scores were equal; on PyTorch, Keras differentiates by the scores
    nevertheless, on TensorFlow it does not.
    """
    document = Document()
    sequences = Sequences(chosen, document)
    queries, keys = chosen.choice([1, 2, 4, 5]), chosen.choice([1, 3, 5])
    shape = chosen.choice(["self", "cross", "cross", "key"])
    # With groups, Keras wants one width.
    widths = [chosen.choice([2, 3, 5]), chosen.choice([2, 4]), 3] if type == "multiHeadAttention" else [4, 4, 4]
    query, query_masked = sequences.sequence(queries, widths[0], name="queries")
    roles, inputs, masked = ["query", "value"], [query, query], [query_masked]
    if shape == "self":
        keys = queries
    else:
        value, value_masked = sequences.sequence(keys, widths[1], name="keys")
        inputs[1] = value
        masked.append(value_masked)
    if shape == "key":
        key, key_masked = sequences.sequence(keys, widths[2], name="keys")
        roles.append("key")
        inputs.append(key)
        masked.append(key_masked)
    heads = chosen.choice([1, 2, 3])
    options = dict(PROJECTED, dropout=chosen.choice([0, 0, 0.3]), useBias=chosen.random() < 0.7)
    if type == "multiHeadAttention":
        key_dim = chosen.choice([1, 2, 4])
        options |= {
            "numHeads": heads,
            "keyDim": key_dim,
            "valueDim": chosen.choice([key_dim, 3]),
            "outputShape": chosen.choice([None, None, 4]),
        }
    else:
        shared = chosen.choice([1, 2])
        heads *= shared
        options |= {"headDim": chosen.choice([1, 2, 4]), "numQueryHeads": heads, "numKeyValueHeads": shared}
    if limited:
        window = chosen.choice([None, 1, 2, 3])
        # What is off is no option of a document.
        options |= {} if window is None else {"slidingWindow": window}
        options |= {"useGate": True} if window is None or chosen.random() < 0.5 else {}
    if chosen.random() < 0.4:
        batch = sequences.batch
        # Keras joins a mask for each head with masks of inputs along the wrong axes.
        of_heads = not any(masked) and chosen.random() < 0.6
        mask = chosen.choice([(batch, heads, queries, keys), (batch, 1, queries, keys)]) if of_heads else None
        roles.append("attentionMask")
        inputs.append(sequences.mask(mask or (batch, queries, keys), "queries" if shape == "self" else "keys"))
    said = {
        "inputs": roles,
        "useCausalMask": chosen.random() < 0.4,
        "returnAttentionScores": chosen.random() < 0.3,
    }
    made = document.layer(type, **options)
    outputs = document.call(made, inputs, 1 + said["returnAttentionScores"], said)
    outputs = outputs if said["returnAttentionScores"] else [outputs]
    of_roles = list(sequences.values)
    if shape == "self":
        of_roles.insert(0, of_roles[0])
    averaged = options["dropout"] == 0 and not said["returnAttentionScores"]
    window = options.get("slidingWindow")
    if averaged and not seen(sequences.batch, zip(roles, of_roles), said["useCausalMask"], queries, keys, window):
        return None
    name = f"{type} {seed}: {shape}, {' '.join(roles[2:])}"
    made = case(name, document.finish(*outputs), sequences.values, seed, 1, averaged)
    for scores in made["outputs"][1:]:
        # Keras gives them the mask of the query, which has other axes.
        scores.pop("mask", None)
    return made


def some(make, seeds):
    """A case for each seed."""
    for seed in seeds:
        made = None
        while made is None:
            made = make(seed)
        yield made


def attention_heads(case, rounded):
    chosen = random.Random(61)
    yield from some(lambda seed: projected(case, chosen, seed, "multiHeadAttention"), range(2000, 2120))


def attention_groups(case, rounded):
    chosen = random.Random(62)
    yield from some(lambda seed: projected(case, chosen, seed, "groupedQueryAttention"), range(2200, 2240))


def attention_limited(case, rounded):
    chosen = random.Random(65)
    yield from some(lambda seed: projected(case, chosen, seed, TYPES[seed % 2], True), range(2500, 2560))


def over_axes(case, chosen, seed):
    """One case of inputs with two or three axes between batch and features.

    Keras fits masks of inputs to the scores if the last of these axes alone is attended over, and takes what is causal or a window from
    the sizes of the first axis: other cases fail there or mean nothing.
    """
    document, values = Document(), []
    batch, inner = chosen.choice([1, 2]), chosen.choice([2, 2, 3])
    every = range(1, inner + 1)
    axes = chosen.choice([None, *([axis] for axis in every), chosen.sample(every, 2), chosen.sample(every, 2)])
    over = list(every) if axes is None else axes
    sizes = [chosen.randint(1, 3) for _ in every]
    if len(over) == 1 and chosen.random() < 0.5:
        sizes[over[0] - 1] = sizes[0] = 4
    shape = chosen.choice(["self", "cross", "key"])
    keys = [chosen.randint(1, 4) if axis in over and shape != "self" else size for axis, size in zip(every, sizes)]
    ordered = len(over) == 1 and (over == [1] or sizes[0] == sizes[over[0] - 1] and keys[0] == keys[over[0] - 1])
    widths = [chosen.choice([2, 3, 5]), chosen.choice([2, 4]), 3]
    masks = over == [inner] and chosen.random() < 0.7
    masked = []

    def sequence(name, sizes, width):
        symbols = ["batch", *(f"{name if axis in over else ''}{axis}" for axis in every)]
        masked.append(masks and chosen.random() < 0.7)
        if not masked[-1]:
            values.append((batch, *sizes, width))
            return document.input([*symbols, width])
        ids = [chosen.choice([0, 1, 2, 3, 4, 5, 6]) for _ in range(batch * int(np.prod(sizes)))]
        values.append(np.array(ids, np.int32).reshape(batch, *sizes))
        return document.embedding(document.input(symbols, "int32"), inputDim=7, outputDim=width, maskZero=True)

    query = sequence("queries", sizes, widths[0])
    roles, inputs = ["query", "value"], [query, query if shape == "self" else sequence("keys", keys, widths[1])]
    if shape == "key":
        roles.append("key")
        inputs.append(sequence("keys", keys, widths[2]))
    key_dim = chosen.choice([1, 2, 4])
    options = dict(PROJECTED, dropout=chosen.choice([0, 0, 0.3]), useBias=chosen.random() < 0.7)
    options |= {
        "numHeads": chosen.choice([1, 2, 3]),
        "keyDim": key_dim,
        "valueDim": chosen.choice([key_dim, 3]),
        "outputShape": chosen.choice([None, None, 4]),
    }
    if axes is not None:
        options["attentionAxes"] = [axis - inner - 2 if chosen.random() < 0.4 else axis for axis in axes]
    if ordered and chosen.random() < 0.3:
        options["slidingWindow"] = chosen.choice([1, 2])
    options |= {"useGate": True} if chosen.random() < 0.2 else {}
    if chosen.random() < 0.5:
        apart = [size for axis, size in zip(every, sizes) if axis not in over]
        lead = [batch, *apart, chosen.choice([1, options["numHeads"]])]
        # Keras joins a mask for each head with masks of inputs along the wrong axes, and one without some axes too.
        lead = lead[: chosen.randint(1, len(lead))] if not any(masked) else lead[:-1]
        lead = [1 if chosen.random() < 0.2 else size for size in lead]
        pairs = [*(sizes[axis - 1] for axis in over), *(keys[axis - 1] for axis in over)]
        mask = [chosen.choice([0, 1, 1, 2]) for _ in range(int(np.prod(lead + pairs)))]
        values.append(np.array(mask, np.int32).reshape(lead + pairs))
        roles.append("attentionMask")
        names = [f"queries{axis}" for axis in over] + [f"{'queries' if shape == 'self' else 'keys'}{axis}" for axis in over]
        inputs.append(document.input([*lead, *names], "int32"))
    said = {
        "inputs": roles,
        "useCausalMask": ordered and chosen.random() < 0.4,
        "returnAttentionScores": chosen.random() < 0.3,
    }
    outputs = document.call(document.layer("multiHeadAttention", **options), inputs, 1 + said["returnAttentionScores"], said)
    outputs = outputs if said["returnAttentionScores"] else [outputs]
    name = f"multiHeadAttention {seed}: {shape} over {options.get('attentionAxes')} of {inner}, {' '.join(roles[2:])}"
    made = case(name, document.finish(*outputs), values, seed, 1)
    for scores in made["outputs"][1:]:
        # Keras gives them the mask of the query, which has other axes.
        scores.pop("mask", None)
    return made


def attention_axes(case, rounded):
    chosen = random.Random(66)
    for seed in range(2900, 3000):
        yield over_axes(case, chosen, seed)


def plain(case, chosen, seed, type):
    """One case of a layer without projections; none if a query that counts sees no key.

    There Keras subtracts 1e9 from all scores, which makes them equal in 32 bits and nothing else in 64.
    """
    document = Document()
    sequences = Sequences(chosen, document)
    queries, keys = chosen.choice([1, 2, 4, 5]), chosen.choice([1, 3, 5])
    shape = chosen.choice(["self", "cross", "cross", "key"])
    width, value_width = chosen.choice([1, 3, 5]), chosen.choice([2, 4])
    query, _ = sequences.sequence(queries, width, name="queries")
    roles, inputs = ["query", "value"], [query, query]
    if shape == "self":
        keys = queries
    else:
        inputs[1], _ = sequences.sequence(keys, width if shape == "cross" else value_width, name="keys")
    of_roles = [*sequences.values[:1] * (shape == "self"), *sequences.values]
    if shape == "key":
        key, _ = sequences.sequence(keys, width, name="keys")
        roles.append("key")
        inputs.append(key)
    said = {
        "inputs": roles,
        "useCausalMask": chosen.random() < 0.4,
        "returnAttentionScores": chosen.random() < 0.3,
    }
    options = {"useScale": chosen.random() < 0.5, "dropout": chosen.choice([0, 0.3])}
    if type == "attention":
        options["scoreMode"] = chosen.choice(["dot", "concat"])
    # A query that is masked has scores.
    of_queries = np.ones((sequences.batch, queries), np.int32)
    if not seen(sequences.batch, [("query", of_queries), ("value", of_roles[1])], said["useCausalMask"], queries, keys):
        return None
    outputs = document.call(document.layer(type, **options), inputs, 1 + said["returnAttentionScores"], said)
    outputs = outputs if said["returnAttentionScores"] else [outputs]
    made = case(f"{type} {seed}: {shape}, {options}", document.finish(*outputs), sequences.values, seed, 1)
    for scores in made["outputs"][1:]:
        # Keras gives them the mask of the query, which has other axes.
        scores.pop("mask", None)
    return made


def attention_plain(case, rounded):
    chosen = random.Random(63)
    yield from some(lambda seed: plain(case, chosen, seed, "attention"), range(2300, 2380))


def attention_additive(case, rounded):
    chosen = random.Random(64)
    yield from some(lambda seed: plain(case, chosen, seed, "additiveAttention"), range(2400, 2440))


MAKERS = (attention_heads, attention_groups, attention_plain, attention_additive, attention_limited, attention_axes)
