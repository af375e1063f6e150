"""Recurrent layers with attention, written by hand in PyTorch from the papers, with gradients by autograd.

Bahdanau, Cho, Bengio 2015 (eq. 4 to 6, A.1.2); Luong, Pham, Manning 2015 (eq. 5, 8, section 3.3). Cells as Keras has them.
"""

import json
import os
import random
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "keras"))
import formula  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PROVIDED = {"type": "provided"}
FORMS = ("dot", "general", "concat", "bahdanau")


def weights(o, features, width):
    """Names and shapes, in the order of the layer."""
    units, gates = o["units"], (4 if o["cell"] == "lstm" else 3) * o["units"]
    before, hidden = o["attention"] == "bahdanau", o.get("attentionUnits")
    fed = width if before else units if o["inputFeeding"] else 0
    for number in range(1, o.get("layers", 1) + 1):
        prefix, size = ("", features + fed) if number == 1 else (f"cell{number}/", units)
        yield f"{prefix}kernel", [size, gates]
        yield f"{prefix}recurrentKernel", [units, gates]
        if o["useBias"]:
            yield f"{prefix}bias", [2, gates] if o.get("resetAfter") else [gates]
    if hidden is not None:
        yield "query/kernel", [units, hidden]
        yield "scale", [hidden]
    if not before:
        yield "combine/kernel", [width + units, units]
    if o["attention"] != "dot":
        yield "key/kernel", [width, units if o["attention"] == "general" else hidden]


def cell(o, w, x, h, c, number=1):
    units, sigmoid = o["units"], torch.sigmoid
    if number > 1:
        w = {name: w[f"cell{number}/{name}"] for name in ("kernel", "recurrentKernel", "bias") if f"cell{number}/{name}" in w}
    bias = w.get("bias", torch.zeros(1, dtype=torch.float64))
    if o["cell"] == "lstm":
        i, f, g, out = (x @ w["kernel"] + h @ w["recurrentKernel"] + bias).split(units, 1)
        c = sigmoid(f) * c + sigmoid(i) * torch.tanh(g)
        return sigmoid(out) * torch.tanh(c), c
    x_bias, h_bias = (bias[0], bias[1]) if bias.dim() == 2 else (bias, torch.zeros_like(bias))
    xz, xr, xg = (x @ w["kernel"] + x_bias).expand(len(x), 3 * units).split(units, 1)
    hz, hr, hg = (h @ w["recurrentKernel"] + h_bias).split(units, 1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    if o["resetAfter"]:
        g = torch.tanh(xg + r * hg)
    else:
        g = torch.tanh(xg + (r * h) @ w["recurrentKernel"][:, 2 * units :])
    return z * h + (1 - z) * g, c


def attend(o, w, query, keys, memory, mask):
    if "scale" in w:
        scores = torch.tanh((query @ w["query/kernel"])[:, None] + keys) @ w["scale"]
    else:
        scores = (keys @ query[:, :, None])[:, :, 0]
    shares = torch.softmax(scores.masked_fill(mask == 0, -1e30), 1) * mask
    return shares, (shares[:, None] @ memory)[:, 0]


def layer(o, w, x, memory, states, x_mask, memory_mask):
    """Outputs of the layer; no gradient goes through the shares."""
    batch, steps, _ = x.shape
    zeros = torch.zeros(batch, o["units"], dtype=torch.float64)
    count, each = o.get("layers", 1), 2 if o["cell"] == "lstm" else 1
    given = [*states, *[zeros] * (count * each + 1)]
    cells = [(given[each * at], given[each * at + 1] if each == 2 else zeros) for at in range(count)]
    a = given[count * each]
    keys = memory @ w["key/kernel"] if "key/kernel" in w else memory
    shown, outputs, all_shares = zeros, [], []
    for step in range(steps):
        counts = x_mask[:, step : step + 1]
        pick = lambda new, old: torch.where(counts > 0, new, old)  # noqa: E731
        into = x[:, step]
        if o["attention"] == "bahdanau":
            shares, context = attend(o, w, cells[0][0], keys, memory, memory_mask)
            into = torch.cat([into, context], 1)
        elif o["inputFeeding"]:
            into = torch.cat([into, a], 1)
        for at, (h, c) in enumerate(cells):
            new_h, new_c = cell(o, w, into, h, c, at + 1)
            cells[at] = pick(new_h, h), pick(new_c, c)
            into = new_h
        new = new_h
        if o["attention"] != "bahdanau":
            shares, context = attend(o, w, new_h, keys, memory, memory_mask)
            new = torch.tanh(torch.cat([context, new_h], 1) @ w["combine/kernel"])
            a = pick(new, a)
        shown = pick(new, shown)
        outputs.append(shown)
        all_shares.append((shares * counts).detach())
    made = [torch.stack(outputs, 1) if o["returnSequences"] else outputs[-1]]
    if o["returnState"]:
        made += [state for states in cells for state in states[:each]] + [a] * o["inputFeeding"]
    if o["returnAttentionScores"]:
        made.append(torch.stack(all_shares, 1))
    return made


def masked_ids(chosen, batch, steps):
    kind = chosen.choice(["full", "right", "left", "holes"])
    rows = np.array([[chosen.randint(1, 6) for _ in range(steps)] for _ in range(batch)], np.int32)
    for row in rows:
        count = chosen.randint(0, steps - 1)
        if kind == "holes":
            row[[chosen.random() < 0.4 for _ in row]] = 0
        elif kind == "right":
            row[steps - count :] = 0
        elif kind == "left":
            row[:count] = 0
    return rows


def numbers(tensor):
    return [float(f"{value:.6e}") for value in tensor.detach().numpy().ravel()]


def case(number, stacked=False):
    """stacked: of more than one cell."""
    chosen = random.Random(number)
    form, kind = FORMS[number % 4], ["lstm", "gru", "gru"][number % 3]
    batch, steps, sources = chosen.choice([1, 2, 3]), chosen.randint(1, 4), chosen.randint(1, 5)
    units, features = chosen.randint(2, 4), chosen.randint(1, 4)
    width = units if form == "dot" else chosen.randint(1, 5)
    feeding = form != "bahdanau" and (chosen.random() < 0.6 or stacked)
    count = 1 + chosen.randint(1, 2) if stacked else 1
    o = {
        "cell": kind,
        "units": units,
        **({"layers": count} if stacked else {}),
        "attention": form,
        "inputFeeding": feeding,
        "useBias": chosen.random() < 0.8,
        "kernelInitializer": PROVIDED,
        "recurrentInitializer": PROVIDED,
        "biasInitializer": PROVIDED,
        "returnSequences": chosen.random() < 0.8,
        "returnState": chosen.random() < 0.5,
        "returnAttentionScores": chosen.random() < 0.5,
    }
    if form in ("concat", "bahdanau"):
        o["attentionUnits"] = chosen.randint(1, 5)
    if kind == "lstm":
        o["unitForgetBias"] = False
    else:
        o["resetAfter"] = number % 3 == 1
    layers, nodes, inputs, described, tensors = [], [], [], [], {}

    def add(type, options, taken=(), outputs=1):
        count = sum(other["type"] == type for other in layers)
        name = f"{type}{count or ''}"
        layers.append({"name": name, "type": type, "trainable": True, "options": options})
        nodes.append({"layer": len(layers) - 1, "inputs": list(taken)})
        return name, [[len(nodes) - 1, index] for index in range(outputs)]

    def weight(layer_name, name, shape, scale=1):
        seed = 100000 * (number + 1) + len(described)
        value = torch.tensor(formula.values(seed, shape, scale), dtype=torch.float64, requires_grad=True)
        described.append({"layer": layer_name, "name": name, "shape": shape, "seed": seed, "scale": scale})
        tensors[f"{layer_name}.{name}"] = value
        return value

    def given(shape, axes):
        seed = 100000 * (number + 1) + 500 + len(inputs)
        value = torch.tensor(formula.values(seed, shape, 1), dtype=torch.float64, requires_grad=True)
        _, (reference,) = add("input", {"shape": axes, "dtype": "float32"})
        inputs.append(({"shape": list(shape), "seed": seed, "scale": 1}, reference, value))
        return reference, value

    def sequence(length, size, axis):
        if chosen.random() < 0.4:
            reference, value = given((batch, length, size), ["batch", axis, size])
            return reference, value, torch.ones(batch, length, dtype=torch.float64), False
        ids = masked_ids(chosen, batch, length)
        _, (reference,) = add("input", {"shape": ["batch", axis], "dtype": "int32"})
        inputs.append(({"shape": [batch, length], "data": ids.ravel().tolist()}, reference, None))
        options = {"inputDim": 7, "outputDim": size, "maskZero": True, "embeddingsInitializer": PROVIDED}
        name, (reference,) = add("embedding", options, [reference])
        table = weight(name, "embeddings", [7, size])
        mask = torch.tensor(ids != 0, dtype=torch.float64)
        return reference, table[torch.tensor(ids, dtype=torch.long)], mask, True

    x_reference, x, x_mask, masked = sequence(steps, features, "steps")
    memory_reference, memory, memory_mask, _ = sequence(sources, width, "sources")
    cell_states = count * (2 if kind == "lstm" else 1)
    states_given = chosen.choice([0, cell_states, cell_states + feeding])
    states = [given((batch, units), ["batch", units]) for _ in range(states_given)]
    made = 1 + (cell_states + feeding) * o["returnState"] + o["returnAttentionScores"]
    name, references = add("attentionRnn", o, [x_reference, memory_reference, *[state[0] for state in states]], made)
    w = {key: weight(name, key, shape) for key, shape in weights(o, features, width)}
    outputs = layer(o, w, x, memory, [state[1] for state in states], x_mask, memory_mask)
    total, shown = 0, []
    for index, output in enumerate(outputs):
        seed = 100000 * (number + 1) + 700 + index
        slopes = torch.tensor(formula.values(seed, output.shape), dtype=torch.float64)
        total = total + (output * slopes).sum()
        entry = {"shape": list(output.shape), "seed": seed, "data": numbers(output), "mask": None}
        if index == 0 and masked and o["returnSequences"]:
            entry["mask"] = x_mask.int().ravel().tolist()
        shown.append(entry)
    total.backward()
    zeros = lambda tensor: tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)  # noqa: E731
    for entry in described:
        entry["gradient"] = numbers(zeros(tensors[f"{entry['layer']}.{entry['name']}"]))
    for entry, _, value in inputs:
        if value is not None:
            entry["gradient"] = numbers(zeros(value))
    document = {
        "format": "sconce-graph",
        "version": 1,
        "layers": layers,
        "nodes": nodes,
        "inputs": [reference for _, reference, _ in inputs],
        "outputs": references,
    }
    return {
        "name": f"attentionRnn {number}: {form}, {kind}{', feeding' if feeding else ''}{f', {count} cells' if stacked else ''}",
        "document": document,
        "weights": described,
        "inputs": [entry for entry, _, _ in inputs],
        "outputs": shown,
    }


def cancels(made):
    """Whether a gradient is so small beside what it sums up that 32-bit floats say little of it."""
    largest = [max(map(abs, part["gradient"]), default=0) for part in made["weights"] + made["inputs"] if part.get("gradient")]
    return any(1e-9 < value < 0.01 for value in largest)


def write(name, count, first, stacked):
    about = "As layers-*.json of ../keras; no gradient goes through the weights of the memory's steps."
    made = f"PyTorch {torch.__version__}, by __test__/golden/torch/attention_rnn.py"
    cases, number = [], first
    while len(cases) < count:
        # Bahdanau's form is of one cell.
        if stacked and FORMS[number % 4] == "bahdanau":
            number += 1
        made_case, number = case(number, stacked), number + 1
        if not cancels(made_case):
            cases.append(made_case)
    text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    path = os.path.join(HERE, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{"about":{json.dumps(about)},\n"made":{json.dumps(made)},\n"cases":[\n{text}\n]}}\n')
    print(f"{path}: {len(text) / 1000:.0f} kB")


write("attention-rnn.json", 60, 0, False)
write("attention-rnn-stacked.json", 36, 2000, True)
