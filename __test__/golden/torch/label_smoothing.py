"""Cross-entropy with label smoothing by each definition, by PyTorch in float64: writes label-smoothing.json.

A linear layer and a softmax; rows, weights and classes come by formula. Losses are means over the rows.
"""

import json
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.append(str(Path(__file__).parent.parent / "keras"))
import formula

FEATURES = 5


def keras(logits, ids, value, _padding):
    return F.cross_entropy(logits, ids, label_smoothing=value)


def fairseq(logits, ids, value, _padding):
    """fairseq from version 1 on: the right class keeps 1 - value, each other one gets value / (V - 1)."""
    log_probabilities = F.log_softmax(logits, dim=-1)
    nll = -log_probabilities.gather(1, ids[:, None]).mean()
    smooth = -log_probabilities.sum(dim=-1).mean()
    share = value / (logits.shape[-1] - 1)
    return (1 - value - share) * nll + share * smooth


def joeynmt(logits, ids, value, padding):
    """Joey NMT: nothing for padding. Its loss is the divergence from these targets, which is less by their entropy."""
    targets = torch.full_like(logits, value / (logits.shape[-1] - 2))
    targets.scatter_(1, ids[:, None], 1 - value)
    targets[:, padding] = 0
    divergence = F.kl_div(F.log_softmax(logits, dim=-1), targets, reduction="sum") / len(ids)
    entropy = -torch.special.xlogy(targets, targets).sum() / len(ids)
    return divergence + entropy


def case(function, seed, rows, classes, value, padding):
    weights = [
        torch.tensor(formula.values(seed + number, shape, 0.8), dtype=torch.float64, requires_grad=True)
        for number, shape in enumerate([(FEATURES, classes), (classes,)])
    ]
    x = torch.tensor(formula.values(seed + 2, (rows, FEATURES), 1.5), dtype=torch.float64)
    ids = torch.tensor(formula.integers(seed + 3, (rows,), 0, classes - 1), dtype=torch.int64)
    ids[ids >= padding] += 1  # Never padding.
    value = float(torch.tensor(value, dtype=torch.float32))
    loss = function(x @ weights[0] + weights[1], ids, value, padding)
    loss.backward()
    return {
        "definition": function.__name__,
        "seed": seed,
        "rows": rows,
        "classes": classes,
        "value": value,
        "padding": padding,
        "loss": loss.item(),
        "gradients": [[float(f"{g:.9g}") for g in weight.grad.flatten().tolist()] for weight in weights],
    }


cases = []
for function in (keras, fairseq, joeynmt):
    for number, (rows, classes) in enumerate([(4, 3), (9, 7), (20, 41)]):
        for value, padding in ((0.1, 0), (0.35, classes // 2)):
            cases.append(case(function, 8800 + 10 * len(cases), rows, classes, value, padding))
with open("label-smoothing.json", "w", encoding="utf-8") as file:
    json.dump({"torch": torch.__version__, "cases": cases}, file)
    file.write("\n")
