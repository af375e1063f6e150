"""Parts of Transformers: what Keras has by Keras, layers by PyTorch, positions by their formula; in float64."""

import itertools

import keras
import numpy as np
import torch

import formula
from graph import PROVIDED, Document, numbers, write

ABOUT = (
    "As in layers.py. transformerEncoder and transformerDecoder are torch.nn.TransformerEncoderLayer and TransformerDecoderLayer, "
    "positionalEncoding is its formula, the others are Keras' layers."
)
PADDED = np.array([[3, 1, 4, 2, 5], [2, 6, 1, 0, 0], [4, 0, 0, 0, 0]], np.int32)


def record(name, document, weights, inputs, seed, run, scale=0.5, alike=True):
    """alike: whether all scores of a query change by the same number with the bias of the keys. weights: (layer, name, shape). run: gets tensors by layer and name, then the inputs; gives outputs, each with its mask or None."""
    described, tensors, parameters = [], [], {}
    for layer, weight, shape in weights:
        entry = {"layer": layer, "name": weight, "shape": list(shape), "seed": 1000 * seed + len(described), "scale": scale}
        values = formula.values(entry["seed"], entry["shape"], scale).astype(np.float64)
        parameters[layer, weight] = torch.tensor(values, requires_grad=True)
        described.append(entry)
    data = []
    for index, value in enumerate(inputs):
        if isinstance(value, tuple):
            entry = {"shape": list(value), "seed": 1000 * seed + 500 + index, "scale": 1}
            filled = formula.values(entry["seed"], value, 1).astype(np.float64)
            tensors.append(torch.tensor(filled, requires_grad=True))
        else:
            entry = {"shape": list(value.shape), "data": value.ravel().tolist()}
            tensors.append(torch.tensor(value))
        data.append(entry)
    total, expected = 0, []
    for index, (output, mask) in enumerate(run(parameters, *tensors)):
        entry = {"shape": list(output.shape), "seed": 1000 * seed + 700 + index, "data": numbers(output.detach())}
        if mask is not None:
            entry["mask"] = mask.int().ravel().tolist()
        expected.append(entry)
        total = total + (output * torch.tensor(formula.values(entry["seed"], entry["shape"]).astype(np.float64))).sum()
    total.backward()
    for entry in described:
        gradient = parameters[entry["layer"], entry["name"]].grad
        # What all scores of a query have in common does not matter: this gradient is nothing but rounding.
        zero = gradient is None or alike and entry["name"].endswith("key/bias")
        entry["gradient"] = numbers(np.zeros(entry["shape"]) if zero else gradient)
    for entry, tensor in zip(data, tensors):
        if tensor.is_floating_point():
            entry["gradient"] = numbers(tensor.grad)
    return {"name": name, "document": document, "weights": described, "inputs": data, "outputs": expected}


def symbols(shape, known):
    return ["batch", *(size if at in known else f"size{at}" for at, size in enumerate(shape) if at > 0)]


def root_mean_squares():
    shapes = [((3, 5), [-1]), ((2, 3, 4), [-1]), ((2, 3, 4), [1, 2]), ((1, 1, 17), [2])]
    for seed, ((shape, axis), epsilon) in enumerate(itertools.product(shapes, [1e-6, 0.5]), 1300):
        positions = sorted(at % len(shape) for at in axis)
        document = Document()
        x = document.input(symbols(shape, positions))
        y = document.call(document.layer("rmsNormalization", axis=axis, epsilon=epsilon), [x])
        layer = keras.layers.RMSNormalization(axis=positions, epsilon=epsilon)
        layer.build(shape)

        def run(weights, x, layer=layer):
            output, _ = layer.stateless_call([weights["rmsNormalization", "scale"]], [], x)
            return [(output, None)]

        weights = [("rmsNormalization", "scale", [shape[at] for at in positions])]
        yield record(f"rmsNormalization over {axis} of {shape} {epsilon}", document.finish(y), weights, [shape], seed, run)


def reversible():
    for seed, (tied, masked) in enumerate(itertools.product([True, False], repeat=2), 1330):
        document = Document()
        ids, vectors = document.input(["batch", "time"], "int32"), document.input(["batch", "time", 3])
        layer = document.layer(
            "reversibleEmbedding",
            inputDim=7,
            outputDim=3,
            tieWeights=tied,
            useBias=False,
            maskZero=masked,
            embeddingsInitializer=PROVIDED,
            biasInitializer=PROVIDED,
        )
        rows, scores = document.call(layer, [ids]), document.call(layer, [vectors])
        reference = keras.layers.ReversibleEmbedding(7, 3, tie_weights=tied, mask_zero=masked)
        reference.build()
        weights = [("reversibleEmbedding", "embeddings", (7, 3))]
        weights += [] if tied else [("reversibleEmbedding", "reverseEmbeddings", (3, 7))]

        def run(values, ids, vectors, reference=reference, masked=masked):
            values = list(values.values())
            rows, _ = reference.stateless_call(values, [], ids)
            scores, _ = reference.stateless_call(values, [], vectors, reverse=True)
            return [(rows, ids != 0 if masked else None), (scores, None)]

        said = f"reversibleEmbedding tied {tied} masked {masked}"
        yield record(said, document.finish(rows, scores), weights, [PADDED, (3, 5, 3)], seed, run)


def table(steps, width, interleaved, wavelength):
    pairs = (width + 1) // 2
    angles = np.arange(steps)[:, None] / wavelength ** (2 * np.arange(pairs) / width)
    if interleaved:
        return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(steps, 2 * pairs)[:, :width]
    return np.concatenate([np.sin(angles), np.cos(angles)], -1)[:, :width]


def positional(document, type, **options):
    layer = document.layer("positionalEncoding", **options)
    document.json["layers"][layer]["options"]["type"] = type
    return layer


def positions():
    options = {"maxWavelength": 10_000, "maxLength": None, "scale": False, "embeddingsInitializer": PROVIDED}
    cases = itertools.product([True, False], [(2, 5, 6), (1, 3, 5), (2, 4, 1)], [(False, 10_000), (True, 100), (0.5, 10_000)])
    for seed, (interleaved, shape, (scale, wavelength)) in enumerate(cases, 1340):
        document = Document()
        given = {**options, "interleaved": interleaved, "scale": scale, "maxWavelength": wavelength}
        y = document.call(positional(document, "sinusoidal", **given), [document.input(symbols(shape, [2]))])
        factor = {False: 1, True: shape[2] ** 0.5, 0.5: 0.5}[scale]
        waves = torch.tensor(table(shape[1], shape[2], interleaved, wavelength))
        said = f"positionalEncoding of {shape} interleaved {interleaved} scale {scale} wavelength {wavelength}"
        yield record(
            said, document.finish(y), [], [shape], seed, lambda _, x, f=factor, waves=waves: [(f * x + waves, None)]
        )
    for seed, (scale, steps) in enumerate(itertools.product([False, True], [3, 6]), 1360):
        document = Document()
        given = {**options, "interleaved": True, "scale": scale, "maxLength": 6}
        x = document.input(["batch", "time", 4])
        y = document.call(positional(document, "learned", **given), [x])
        factor = 2 if scale else 1

        def run(weights, x, factor=factor, steps=steps):
            return [(factor * x + weights["positionalEncoding", "embeddings"][:steps], None)]

        weights = [("positionalEncoding", "embeddings", (6, 4))]
        yield record(f"positionalEncoding learned, {steps} of 6, scale {scale}", document.finish(y), weights, [(2, steps, 4)], seed, run)


LAYER = {
    "keyDim": None,
    "dropout": 0,
    "attentionDropout": 0,
    "activationDropout": 0,
    "useBias": True,
    "rotary": None,
    "kernelInitializer": {"type": "zeros"},
    "biasInitializer": {"type": "zeros"},
}


def parts(width, hidden, decoder, cross):
    """Weights in the order of KerasHub."""

    def linear(name, inputs, outputs):
        return [(f"{name}/kernel", (inputs, outputs)), (f"{name}/bias", (outputs,))]

    def norm(name):
        return [(f"{name}/gamma", (width,)), (f"{name}/beta", (width,))]

    def attention(name):
        return [
            *(weight for part in ("query", "key", "value", "attentionOutput") for weight in linear(f"{name}/{part}", width, width)),
            *norm(f"{name}LayerNorm"),
        ]

    feed = [*linear("feedforwardIntermediateDense", width, hidden), *linear("feedforwardOutputDense", hidden, width)]
    last = norm("feedforwardLayerNorm")
    first = [*attention("selfAttention"), *(attention("crossAttention") if cross else [])]
    return first + (feed + last if decoder else last + feed)


def torch_names(weights, cross):
    """Parameters of PyTorch's module."""
    norms = ["selfAttention", "crossAttention", "feedforward"] if cross else ["selfAttention", "feedforward"]
    named = {}
    for number, norm in enumerate(norms, 1):
        named[f"norm{number}.weight"] = weights[f"{norm}LayerNorm/gamma"]
        named[f"norm{number}.bias"] = weights[f"{norm}LayerNorm/beta"]
    for ours, theirs in [("selfAttention", "self_attn"), ("crossAttention", "multihead_attn")][: 1 + cross]:
        inputs = [weights[f"{ours}/{part}/kernel"].T for part in ("query", "key", "value")]
        named[f"{theirs}.in_proj_weight"] = torch.cat(inputs)
        named[f"{theirs}.in_proj_bias"] = torch.cat([weights[f"{ours}/{part}/bias"] for part in ("query", "key", "value")])
        named[f"{theirs}.out_proj.weight"] = weights[f"{ours}/attentionOutput/kernel"].T
        named[f"{theirs}.out_proj.bias"] = weights[f"{ours}/attentionOutput/bias"]
    for ours, theirs in [("feedforwardIntermediateDense", "linear1"), ("feedforwardOutputDense", "linear2")]:
        named[f"{theirs}.weight"] = weights[f"{ours}/kernel"].T
        named[f"{theirs}.bias"] = weights[f"{ours}/bias"]
    return named


def transformers():
    kinds = [("transformerEncoder", False), ("transformerDecoder", False), ("transformerDecoder", True)]
    sizes = [(2, 3, 8, 2, 5), (1, 1, 4, 1, 3), (3, 5, 6, 3, 7)]
    cases = itertools.product(kinds, [False, True], sizes, [False, True])
    for seed, ((type, cross), first, (batch, steps, width, heads, hidden), masked) in enumerate(cases, 1400):
        if masked and batch != 3:
            continue
        document, activation = Document(), ["relu", "gelu"][seed % 2]
        inputs, weights = [], []
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
        options = {**LAYER, "intermediateDim": hidden, "numHeads": heads, "activation": activation, "layerNormEpsilon": 1e-5}
        y = document.call(
            document.layer(type, **options, normalizeFirst=first), [sequence, x] if cross else [sequence]
        )
        # Nobody looks at padding.
        if masked and not cross:
            y = document.call(document.layer("globalAveragePooling1d", dataFormat="channelsLast", keepdims=False), [y])
        weights += [(type, *weight) for weight in parts(width, hidden, type == "transformerDecoder", cross)]
        make = torch.nn.TransformerDecoderLayer if cross else torch.nn.TransformerEncoderLayer
        module = make(width, heads, hidden, 0.0, activation, batch_first=True, norm_first=first, dtype=torch.float64)

        def run(weights, *tensors, module=module, type=type, cross=cross, masked=masked):
            x, padding = tensors[0], None
            if masked:
                x, padding = weights["embedding", "embeddings"][tensors[0].long()], tensors[0] == 0
            own = torch_names({name: value for (layer, name), value in weights.items() if layer == type}, cross)
            sequence = tensors[1] if cross else x
            steps = sequence.shape[1]
            causal = torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1) if type == "transformerDecoder" else None
            if cross:
                extra = {"tgt_mask": causal, "memory_key_padding_mask": padding}
                return [(torch.func.functional_call(module, own, (sequence, x), extra), None)]
            extra = {"src_mask": causal, "src_key_padding_mask": padding}
            y = torch.func.functional_call(module, own, (sequence,), extra)
            if masked:
                kept = (~padding).double()[..., None]
                y = (y * kept).sum(1) / kept.sum(1)
            return [(y, None)]

        said = f"{type} {'cross ' * cross}{'first ' * first}{'masked ' * masked}{activation} of {batch, steps, width}"
        yield record(said, document.finish(y), weights, inputs, seed, run)


if __name__ == "__main__":
    keras.config.set_floatx("float64")
    for maker in (root_mean_squares, reversible, positions, transformers):
        write("layers-" + maker.__name__.replace("_", "-"), ABOUT, cases=list(maker()))
