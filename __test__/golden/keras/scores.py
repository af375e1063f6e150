"""What is done to the scores of attention and Keras lacks, by hand in PyTorch: caps, biases by distance that layers share, and windows,
caps and gates of layers of Transformers."""

import itertools
import math
import random

import numpy as np
import torch

from graph import PROVIDED, Document, write
from transformers import LAYER, PADDED, parts, record, torch_names

ABOUT = (
    "As in layers.py, by hand in PyTorch; layers of Transformers that share a bias are torch.nn.TransformerEncoderLayer and "
    "TransformerDecoderLayer."
)
START = {"kernelInitializer": {"type": "zeros"}, "biasInitializer": {"type": "zeros"}}


def heads_of(x, kernel, bias):
    return torch.einsum("btd,dnh->bnth", x, kernel) + (0 if bias is None else bias[:, None])


def attend(o, weights, query, value, seen, bias):
    """Output and weights of a layer with projections. seen: which keys count, [batch, 1, T, S]."""
    w = lambda name: weights.get(name)  # noqa: E731
    project = lambda part, x: heads_of(x, w(f"{part}/kernel"), w(f"{part}/bias"))  # noqa: E731
    q, k, v = project("query", query), project("key", value), project("value", value)
    times = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
    if cap := o.get("logitSoftCap"):
        scores = cap * torch.tanh(scores / cap)
    if bias is not None:
        scores = scores + bias
    # A query that sees no key is one that nobody looks at.
    shares = torch.softmax(scores.masked_fill(~seen, -1e300), -1)
    mixed = shares @ v
    if o.get("useGate"):
        mixed = mixed * torch.sigmoid(project("gate", query))
    y = torch.einsum("bnth,nhd->btd", mixed, w("attentionOutput/kernel"))
    return y + (0 if w("attentionOutput/bias") is None else w("attentionOutput/bias")), shares


def attention_capped():
    chosen = random.Random(71)
    seed = 2600
    while seed < 2640:
        type = ["multiHeadAttention", "groupedQueryAttention"][seed % 2]
        batch, queries, keys = chosen.choice([1, 2, 3]), chosen.randint(1, 6), chosen.randint(1, 6)
        width, value_width = chosen.choice([3, 4]), chosen.choice([2, 5])
        own = chosen.random() < 0.5
        if own:
            keys, value_width = queries, width
        shared = chosen.choice([1, 2])
        heads = shared * (1 if type == "multiHeadAttention" else 2)
        key_dim, value_dim = chosen.choice([1, 2, 4]), chosen.choice([2, 3])
        o = {
            "dropout": 0,
            "useBias": chosen.random() < 0.7,
            "slidingWindow": chosen.choice([None, None, 2, 3]),
            "logitSoftCap": chosen.choice([0.5, 1, 2.5]),
            "useGate": chosen.random() < 0.4,
            **START,
        }
        # What is off is no option of a document.
        o = {name: value for name, value in o.items() if name not in ("slidingWindow", "useGate") or value}
        if type == "multiHeadAttention":
            o |= {"numHeads": heads, "keyDim": key_dim, "valueDim": value_dim, "outputShape": None}
        else:
            value_dim = key_dim
            o |= {"numQueryHeads": heads, "numKeyValueHeads": shared, "headDim": key_dim}
        causal, scored, biased = (chosen.random() < share for share in (0.4, 0.4, 0.5))
        counts = np.array([[chosen.random() < 0.8 for _ in range(keys)] for _ in range(batch)])
        masked = not own and chosen.random() < 0.5
        pairs = np.ones((batch, 1, queries, keys), bool)
        if causal:
            pairs &= np.tril(np.ones((queries, keys), bool))
        if o.get("slidingWindow") is not None:
            pairs &= np.abs(np.arange(queries)[:, None] - np.arange(keys)) < o["slidingWindow"]
        if masked:
            pairs &= counts[:, None, None]
        if not pairs.any(-1).all():
            continue
        document, inputs, weights, roles = Document(), [(batch, queries, width)], [], ["query", "value"]
        query = document.input(["batch", "queries", width])
        given = [query, query]
        if masked:
            ids = document.input(["batch", "keys"], "int32")
            given[1] = document.embedding(ids, inputDim=7, outputDim=value_width, maskZero=True)
            weights.append(("embedding", "embeddings", (7, value_width)))
            inputs.append(np.where(counts, chosen.randint(1, 6), 0).astype(np.int32))
        elif not own:
            given[1] = document.input(["batch", "keys", value_width])
            inputs.append((batch, keys, value_width))
        if biased:
            shape = (batch, chosen.choice([1, heads]), queries, keys)
            roles.append("attentionBias")
            given.append(document.input(["batch", shape[1], "queries", "queries" if own else "keys"]))
            inputs.append(shape)
        said = {"inputs": roles, "useCausalMask": causal, "returnAttentionScores": scored}
        outputs = document.call(document.layer(type, **o), given, 1 + scored, said)
        groups = heads if type == "multiHeadAttention" else shared
        sizes = [("query", width, heads, key_dim), ("key", value_width, groups, key_dim)]
        sizes += [("gate", width, heads, value_dim)] if o.get("useGate") else []
        sizes += [("value", value_width, groups, value_dim)]
        for part, features, count, head in sizes:
            weights.append((type, f"{part}/kernel", (features, count, head)))
            weights += [(type, f"{part}/bias", (count, head))] if o["useBias"] else []
        weights.append((type, "attentionOutput/kernel", (heads, value_dim, width)))
        weights += [(type, "attentionOutput/bias", (width,))] if o["useBias"] else []

        def run(values, query, *more, o=o, type=type, own=own, masked=masked, biased=biased, scored=scored, pairs=pairs):
            more = list(more)
            bias = more.pop() if biased else None
            value = query if own else more[0]
            if masked:
                value = values["embedding", "embeddings"][value.long()]
            named = {name: value for (layer, name), value in values.items() if layer == type}
            y, shares = attend(o, named, query, value, torch.tensor(pairs), bias)
            return [(y, None), (shares, None)] if scored else [(y, None)]

        said = f"{type} {seed}: cap {o['logitSoftCap']}, {'causal ' * causal}{'own ' * own}{' '.join(roles[2:])}"
        yield record(said, document.finish(*(outputs if scored else [outputs])), weights, inputs, seed, run, 1, False)
        seed += 1


def bucket(offset, count, most, both):
    """Where T5 puts a key `offset` steps behind its query: half of the buckets for one distance each, the others in equal ratios."""
    first = 0
    if both:
        count //= 2
        first = count if offset > 0 else 0
    distance = abs(offset) if both else max(-offset, 0)
    if distance < count // 2:
        return first + distance
    exact = count // 2
    return first + min(count - 1, exact + int(math.log(distance / exact) / math.log(most / exact) * (count - exact) + 1e-9))


def slope(head, heads):
    """What ALiBi takes away for a step, of a power of two of heads."""
    return 2 ** (-8 * (head + 1) / heads)


def distances(type, heads, steps, both, options, weights):
    """[heads, T, T]"""
    offsets = [[key - query for key in range(steps)] for query in range(steps)]
    if type == "alibi":
        return torch.tensor([[[-slope(n, heads) * abs(at) for at in row] for row in offsets] for n in range(heads)], dtype=torch.float64)
    places = [[bucket(at, options["buckets"], options["maxDistance"], both) for at in row] for row in offsets]
    return weights["relativePositionBias", "embeddings"][torch.tensor(places)].permute(2, 0, 1)


def transformers_distant():
    """Two layers each, with one bias for both."""
    kinds = [("transformerEncoder", False), ("transformerDecoder", False), ("transformerDecoder", True)]
    cases = itertools.product(kinds, ["buckets", "alibi"], [(2, 9, 8, 2, 5), (3, 4, 6, 1, 7)], [False, True])
    for seed, ((type, cross), distance, (batch, steps, width, heads, hidden), first) in enumerate(cases, 2700):
        both = type == "transformerEncoder"
        document = Document()
        x = document.input(["batch", "time", width])
        inputs, memory = [(batch, steps, width)], []
        if cross:
            memory = [document.input(["batch", "more", width])]
            inputs.append((batch, 4, width))
        options = {"numHeads": heads, "buckets": 8, "maxDistance": 7, "bidirectional": both, "embeddingsInitializer": PROVIDED}
        layer = document.layer("relativePositionBias", **options)
        document.json["layers"][layer]["options"]["type"] = distance
        bias = document.call(layer, [x])
        weights = [("relativePositionBias", "embeddings", (8, heads))] if distance == "buckets" else []
        layer_options = {**LAYER, "intermediateDim": hidden, "numHeads": heads, "activation": "gelu", "layerNormEpsilon": 1e-5}
        y = x
        for name in (type, f"{type}1"):
            y = document.call(document.layer(type, **layer_options, normalizeFirst=first), [y, *memory, bias])
            weights += [(name, *weight) for weight in parts(width, hidden, not both, cross)]
        make = torch.nn.TransformerDecoderLayer if cross else torch.nn.TransformerEncoderLayer
        module = make(width, heads, hidden, 0.0, "gelu", batch_first=True, norm_first=first, dtype=torch.float64)

        def run(weights, x, *memory, module=module, type=type, cross=cross, distance=distance, both=both, o=options):
            batch, steps, _ = x.shape
            mask = distances(distance, o["numHeads"], steps, both, o, weights)
            if not both:
                mask = mask + torch.triu(torch.full((steps, steps), -math.inf, dtype=torch.float64), 1)
            mask = mask.repeat(batch, 1, 1)
            for name in (type, f"{type}1"):
                own = torch_names({weight: value for (layer, weight), value in weights.items() if layer == name}, cross)
                extra = {"tgt_mask" if cross else "src_mask": mask}
                x = torch.func.functional_call(module, own, (x, *memory), extra)
            return [(x, None)]

        said = f"{type} {'cross ' * cross}{'first ' * first}{distance} of {batch, steps, width}, {heads} heads"
        yield record(said, document.finish(y), weights, inputs, seed, run)


def parts_of_heads(weights, name, heads):
    """Weights of an attention of a layer as those of a layer with projections."""
    own = {weight.removeprefix(f"{name}/"): value for weight, value in weights.items() if weight.startswith(f"{name}/")}

    def apart(weight, value):
        if weight == "attentionOutput/kernel":
            return value.unflatten(0, (heads, -1))
        return value if weight == "attentionOutput/bias" else value.unflatten(-1, (heads, -1))

    return {weight: apart(weight, value) for weight, value in own.items()}


def limited_layer(o, weights, x, memory, causal, counts):
    """A layer of a Transformer. counts: which steps of what is attended to last are there, [batch, steps]."""

    def residual(norm, x, part):
        normal = lambda x: torch.nn.functional.layer_norm(  # noqa: E731
            x, x.shape[-1:], weights[f"{norm}/gamma"], weights[f"{norm}/beta"], o["layerNormEpsilon"]
        )
        return x + part(normal(x)) if o["normalizeFirst"] else normal(x + part(x))

    def attention(name, query, value, seen):
        return attend(o, parts_of_heads(weights, name, o["numHeads"]), query, value, seen, None)[0]

    def network(x):
        hidden = torch.relu(x @ weights["feedforwardIntermediateDense/kernel"] + weights["feedforwardIntermediateDense/bias"])
        return hidden @ weights["feedforwardOutputDense/kernel"] + weights["feedforwardOutputDense/bias"]

    steps = torch.arange(x.shape[1])
    own = torch.ones(len(steps), len(steps), dtype=torch.bool)
    if causal:
        own &= steps[:, None] >= steps
    if window := o.get("slidingWindow"):
        own &= (steps[:, None] - steps).abs() < window
    if counts is not None:
        counts = counts[:, None, None]
    own = own if memory is not None or counts is None else own & counts
    x = residual("selfAttentionLayerNorm", x, lambda x: attention("selfAttention", x, x, own))
    if memory is not None:
        seen = torch.tensor(True) if counts is None else counts
        x = residual("crossAttentionLayerNorm", x, lambda x: attention("crossAttention", x, memory, seen))
    return residual("feedforwardLayerNorm", x, network)


def gated(weights, width):
    """Weights of a layer with those of its gates."""
    for name, shape in weights:
        if name.endswith("Attention/value/kernel"):
            attention = name.removesuffix("/value/kernel")
            yield f"{attention}/gate/kernel", (width, width)
            yield f"{attention}/gate/bias", (width,)
        yield name, shape


def transformers_limited():
    """Windows, caps and gates of layers of Transformers."""
    kinds = [("transformerEncoder", False), ("transformerDecoder", False), ("transformerDecoder", True)]
    limits = [{"slidingWindow": 1}, {"slidingWindow": 2}, {"logitSoftCap": 0.7}, {"useGate": True}]
    limits += [{"slidingWindow": 3, "logitSoftCap": 1.5, "useGate": True}]
    cases = itertools.product(kinds, limits, [False, True], [False, True])
    for seed, ((type, cross), limit, first, masked) in enumerate(cases, 2800):
        batch, steps, width, heads, hidden = (3, 5, 6, 3, 5) if masked or seed % 3 else (2, 7, 8, 2, 3)
        document, inputs, weights = Document(), [], []
        if masked:
            ids = document.input(["batch", "time"], "int32")
            x = document.embedding(ids, inputDim=7, outputDim=width, maskZero=True)
            weights.append(("embedding", "embeddings", (7, width)))
            inputs.append(PADDED)
        else:
            x = document.input(["batch", "time", width])
            inputs.append((batch, steps, width))
        sequence = x
        if cross:
            sequence = document.input(["batch", "more", width])
            inputs.append((batch, 4, width))
        o = {**LAYER, "intermediateDim": hidden, "numHeads": heads, "activation": "relu", "layerNormEpsilon": 1e-5}
        o |= {"normalizeFirst": first, **limit}
        y = document.call(document.layer(type, **o), [sequence, x] if cross else [sequence])
        # Nobody looks at padding.
        if masked and not cross:
            y = document.call(document.layer("globalAveragePooling1d", dataFormat="channelsLast", keepdims=False), [y])
        own = parts(width, hidden, type == "transformerDecoder", cross)
        weights += [(type, *weight) for weight in (gated(own, width) if o.get("useGate") else own)]

        def run(weights, *tensors, o=o, type=type, cross=cross, masked=masked):
            x, counts = tensors[0], None
            if masked:
                x, counts = weights["embedding", "embeddings"][tensors[0].long()], tensors[0] != 0
            own = {name: value for (layer, name), value in weights.items() if layer == type}
            y = limited_layer(o, own, tensors[1] if cross else x, x if cross else None, type == "transformerDecoder", counts)
            if masked and not cross:
                kept = counts.double()[..., None]
                y = (y * kept).sum(1) / kept.sum(1)
            return [(y, None)]

        said = f"{type} {'cross ' * cross}{'first ' * first}{'masked ' * masked}{limit}"
        yield record(said, document.finish(y), weights, inputs, seed, run, alike="logitSoftCap" not in o)


if __name__ == "__main__":
    for maker in (attention_capped, transformers_distant, transformers_limited):
        write("layers-" + maker.__name__.replace("_", "-"), ABOUT, cases=list(maker()))
