"""The demo's model in PyTorch: demo.py FOLDER THREADS replays what bench/measured/record.mjs wrote down; prints one JSON object."""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from protocol import CaseFile

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
with open(os.path.join(folder, "record.json")) as file:
    record = json.load(file)
values = CaseFile(os.path.join(folder, "values"))
types = [layer["type"] for layer in record["document"]["layers"] if layer["type"] != "input"]
if sorted(types) != ["dense", "embedding", "embedding", "lstm", "lstm"]:
    raise SystemExit(f"the demo has another model than this script: {types}")


def of(name):
    """Weights of a name, encoder before decoder: the order of the document."""
    return [torch.from_numpy(values.read(place, "float32")) for place in record["weights"] if place["name"] == name]


def lstm(kernel, recurrent, bias):
    layer = nn.LSTM(kernel.shape[0], recurrent.shape[0], batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(kernel.T)
        layer.weight_hh_l0.copy_(recurrent.T)
        layer.bias_ih_l0.copy_(bias)
        layer.bias_hh_l0.zero_()
        layer.bias_hh_l0.requires_grad_(False)
    return layer


class Demo(nn.Module):
    def __init__(self):
        super().__init__()
        kernels, biases = of("kernel"), of("bias")
        dense = next(index for index, kernel in enumerate(kernels) if kernel.shape[1] == of("embeddings")[1].shape[0])
        output_kernel, output_bias = kernels.pop(dense), biases.pop(dense)
        self.words, self.characters = (nn.Embedding.from_pretrained(table, freeze=False) for table in of("embeddings"))
        self.encoder, self.decoder = (lstm(*weights) for weights in zip(kernels, of("recurrentKernel"), biases))
        self.output = nn.Linear(*output_kernel.shape)
        with torch.no_grad():
            self.output.weight.copy_(output_kernel.T)
            self.output.bias.copy_(output_bias)

    def forward(self, source, decoder, goal):
        lengths = (source != 0).sum(1)
        packed = pack_padded_sequence(self.words(source), lengths, batch_first=True, enforce_sorted=False)
        _, state = self.encoder(packed)
        outputs, _ = self.decoder(self.characters(decoder), state)
        valid = decoder != 0
        return F.cross_entropy(self.output(outputs[valid]), goal[valid]), int(valid.sum())


def batch(step):
    return [torch.from_numpy(values.read(place, "int32")).long() for place in [*step["inputs"], *step["targets"]]]


def make_optimizer(model):
    options = record["compilation"]["optimizer"]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if options["type"] == "adam":
        return torch.optim.Adam(trained, betas=(options["beta1"], options["beta2"]), eps=options["epsilon"])
    if options["type"] == "rmsprop":  # Keras has epsilon inside the root.
        return torch.optim.RMSprop(trained, alpha=options["rho"], eps=options["epsilon"] ** 0.5)
    raise SystemExit(f"no rule for {options['type']}")


model = Demo()
optimizer = make_optimizer(model)
start = time.time()
first = None
for update in record["updates"]:
    for group in optimizer.param_groups:
        group["lr"] = update["learningRate"]
    optimizer.zero_grad(set_to_none=True)
    loss, _ = model(*batch(update))
    first = loss.item() if first is None else first
    loss.backward()
    optimizer.step()
seconds = time.time() - start
with torch.no_grad():
    results = [model(*batch(step)) for step in record["evaluation"]]
tokens = sum(count for _, count in results)
print(
    json.dumps(
        {
            "versions": {"torch": torch.__version__},
            "seconds": seconds,
            "firstLoss": first,
            "validationLoss": sum(loss.item() * count for loss, count in results) / tokens,
            "tokens": tokens,
        }
    )
)
