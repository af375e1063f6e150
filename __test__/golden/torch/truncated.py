"""Truncated back-propagation through time as in PyTorch's example word_language_model, in float64: writes truncated.json.

Rows of ids are read in windows; the states of a layer go on from window to window, detached. Plain gradient descent after each window.
Weights have Keras' layouts, ids and weights come by formula.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

sys.path.append(str(Path(__file__).parent.parent / "keras"))
import formula

VOCABULARY, WIDTH, UNITS, ROWS, STEPS, WINDOW, PASSES, RATE = 9, 4, 5, 3, 11, 4, 2, 0.7


def torch_weights(cell, kernel, recurrent, bias):
    """Weights of a module of PyTorch: rows of gates, a GRU's in the order r, z, n instead of z, r, n."""
    order = [0, 1, 2, 3] if cell == "lstm" else [1, 0, 2]
    gates = lambda x: torch.cat([x.chunk(len(order), dim=-1)[gate] for gate in order], dim=-1)
    biases = [bias, torch.zeros_like(bias)] if cell == "lstm" else bias.unbind()
    return {
        "weight_ih_l0": gates(kernel).T,
        "weight_hh_l0": gates(recurrent).T,
        "bias_ih_l0": gates(biases[0]),
        "bias_hh_l0": gates(biases[1]),
    }


def case(cell, seed):
    gates = {"lstm": 4, "gru": 3}[cell]
    shapes = [
        (VOCABULARY, WIDTH),
        (WIDTH, gates * UNITS),
        (UNITS, gates * UNITS),
        (gates * UNITS,) if cell == "lstm" else (2, gates * UNITS),
        (UNITS, VOCABULARY),
        (VOCABULARY,),
    ]
    weights = [
        torch.tensor(formula.values(seed + number, shape, 0.9), dtype=torch.float64, requires_grad=True)
        for number, shape in enumerate(shapes)
    ]
    module = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](WIDTH, UNITS, batch_first=True, dtype=torch.float64)
    ids = torch.tensor(formula.integers(seed + 9, (ROWS, STEPS + 1), 1, VOCABULARY), dtype=torch.int64)
    losses = []
    for _ in range(PASSES):
        states = None
        for first in range(0, STEPS, WINDOW):
            last = min(first + WINDOW, STEPS)
            embeddings, kernel, recurrent, bias, dense, dense_bias = weights
            if states is not None:
                states = tuple(state.detach() for state in states) if cell == "lstm" else states.detach()
            arguments = (embeddings[ids[:, first:last]],) + (() if states is None else (states,))
            y, states = functional_call(module, torch_weights(cell, kernel, recurrent, bias), arguments)
            goal = ids[:, first + 1 : last + 1]
            loss = F.cross_entropy((y @ dense + dense_bias).flatten(0, 1), goal.flatten())
            losses.append(loss.item())
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients):
                    weight -= RATE * gradient
    return {"cell": cell, "seed": seed, "losses": losses, "weights": [weight.flatten().tolist() for weight in weights]}


settings = {"vocabulary": VOCABULARY, "width": WIDTH, "units": UNITS, "rows": ROWS, "steps": STEPS, "window": WINDOW}
cases = [case("lstm", 11), case("gru", 31)]
path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps({**settings, "passes": PASSES, "rate": RATE, "cases": cases}) + "\n")
