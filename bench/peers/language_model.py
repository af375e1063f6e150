"""A word-level language model as in PyTorch's example word_language_model: language_model.py THREADS, driven over standard input and output.

Rows of a batch are parts of the text that follow each other in time, windows of `window` words are learnt one after the other, and the
states go on from window to window. Plain gradient descent with the rate that comes with each request.
"""

import gc
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from protocol import CaseFile, memory, serve

torch.set_num_threads(int(sys.argv[1]))
torch.set_num_interop_threads(1)
state = {}


class LanguageModel(nn.Module):
    def __init__(self, vocabulary, units, layers, dropout):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(vocabulary, units)
        self.lstm = nn.LSTM(units, units, layers, dropout=dropout)
        self.output = nn.Linear(units, vocabulary)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.output.weight, -0.1, 0.1)
        nn.init.zeros_(self.output.bias)

    def forward(self, x, goal, states):
        y, states = self.lstm(self.dropout(self.embedding(x)), states)
        return F.cross_entropy(self.output(self.dropout(y)).flatten(0, 1), goal.flatten()), states


def rows_of(text, count):
    """[time, count]"""
    length = len(text) // count
    return text[: length * count].view(count, length).T.contiguous()


def windows(rows, window):
    """Inputs and goals of each window; the last may be shorter."""
    for first in range(0, len(rows) - 1, window):
        last = min(first + window, len(rows) - 1)
        yield rows[first:last], rows[first + 1 : last + 1]


@torch.no_grad()
def loss_of(rows, window):
    """Mean loss of a word."""
    model, total, states = state["model"], 0.0, None
    model.eval()
    for x, goal in windows(rows, window):
        loss, states = model(x, goal, states)
        total += loss.item() * len(x)
    return total / (len(rows) - 1)


def open_text(request):
    torch.manual_seed(request["seed"])
    ids = CaseFile(request["idsFile"])
    counts = {"training": request["rows"], "validation": 10, "test": 10}
    state["rows"] = {
        part: rows_of(torch.from_numpy(ids.read(place, "int32")).long(), counts[part])
        for part, place in request["texts"].items()
    }
    state["model"] = LanguageModel(*(request[name] for name in ["vocabulary", "units", "layers", "dropout"]))
    state["request"], state["best"] = request, None
    gc.collect()
    return {}


def epoch(request):
    model, window, clip = state["model"], state["request"]["window"], state["request"]["clip"]
    rows, total, states = state["rows"]["training"], 0.0, None
    model.train()
    start = time.perf_counter()
    for x, goal in windows(rows, window):
        if states is not None:
            states = tuple(part.detach() for part in states)
        model.zero_grad(set_to_none=True)
        loss, states = model(x, goal, states)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(parameter.grad, alpha=-request["learningRate"])
        total += loss.item() * len(x)
    seconds = time.perf_counter() - start
    return {"loss": total / (len(rows) - 1), "seconds": seconds, "validationLoss": loss_of(state["rows"]["validation"], window)}


def keep(request):
    state["best"] = {name: value.clone() for name, value in state["model"].state_dict().items()}
    return {}


def test(request):
    state["model"].load_state_dict(state["best"])
    return {"loss": loss_of(state["rows"]["test"], state["request"]["window"]), "peakMiB": memory("VmHWM")}


serve(
    {
        "describe": lambda request: {"versions": {"torch": torch.__version__}},
        "open": open_text,
        "epoch": epoch,
        "keep": keep,
        "test": test,
    }
)
