"""One attention layer over embeddings in PyTorch, with scaled_dot_product_attention and a packed projection of keys and values."""

import torch
import torch.nn.functional as F
from torch import nn

from torch_lstm import use_threads, versions
from torch_transformer import Attention

__all__ = ["compiled", "eager", "use_threads", "versions"]


class Classifier(nn.Module):
    """The weights come by name, in Keras' layouts (bench/attention-cases.ts)."""

    def __init__(self, case, weights):
        super().__init__()
        width = case["dimension"]
        self.causal = case["causal"]
        self.embedding = nn.Embedding(case["vocabulary"], width)
        self.attention = Attention(width, case["heads"], 0.0, memory=True)
        self.classes = nn.Linear(width, case["classes"])
        weights = {name: torch.from_numpy(array) for name, array in weights.items()}

        def linear(layer, *names):
            """Kernels side by side, their heads together."""
            kernels = [weights[f"{name}/kernel"].reshape(width, -1) for name in names]
            layer.weight.copy_(torch.cat(kernels, 1).T)
            layer.bias.copy_(torch.cat([weights[f"{name}/bias"].flatten() for name in names]))

        with torch.no_grad():
            self.embedding.weight.copy_(weights["embedding/embeddings"])
            linear(self.attention.query, "attention/query")
            linear(self.attention.packed, "attention/key", "attention/value")
            linear(self.attention.output, "attention/attentionOutput")
            linear(self.classes, "classes")

    def forward(self, keys, queries, goal):
        attended = self.attention(self.embedding(queries), self.embedding(keys), causal=self.causal)
        return F.cross_entropy(self.classes(attended.mean(1)), goal)


def stepper(model, forward):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, fused=True)

    def step(keys, queries, goal):
        optimizer.zero_grad(set_to_none=True)
        loss = forward(*(torch.from_numpy(x).long() for x in (keys, queries, goal)))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def eager(case, weights):
    model = Classifier(case, weights)
    return stepper(model, model)


def compiled(case, weights):
    model = Classifier(case, weights)
    return stepper(model, torch.compile(model))
