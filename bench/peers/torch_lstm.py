"""The textbook model in PyTorch, in its best ordinary way."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence


def use_threads(threads):
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def versions():
    return {"torch": torch.__version__}


class Textbook(nn.Module):
    """select: project the decoder's outputs of valid positions only, instead of leaving padding to ignore_index."""

    def __init__(self, case, weights, select=False):
        super().__init__()
        vocabulary, dimension, units = case["vocabulary"], case["dimension"], case["units"]
        self.masked, self.select = case["masked"], select
        self.embedding = nn.Embedding(vocabulary, dimension)
        self.encoder = nn.LSTM(dimension, units, batch_first=True)
        self.decoder = nn.LSTM(dimension, units, batch_first=True)
        self.output = nn.Linear(units, vocabulary)
        table, *rest = [torch.from_numpy(weight) for weight in weights]
        with torch.no_grad():
            self.embedding.weight.copy_(table)
            for lstm, (kernel, recurrent, bias) in [(self.encoder, rest[0:3]), (self.decoder, rest[3:6])]:
                # The gates have the same order. PyTorch has two biases, of which one is frozen at zero.
                lstm.weight_ih_l0.copy_(kernel.T)
                lstm.weight_hh_l0.copy_(recurrent.T)
                lstm.bias_ih_l0.copy_(bias)
                lstm.bias_hh_l0.zero_()
                lstm.bias_hh_l0.requires_grad_(False)
            self.output.weight.copy_(rest[6].T)
            self.output.bias.copy_(rest[7])

    def forward(self, source, lengths, decoder, goal):
        embedded = self.embedding(source)
        if self.masked:
            embedded = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.encoder(embedded)
        outputs, _ = self.decoder(self.embedding(decoder), state)
        if self.select:
            valid = goal != 0
            outputs, goal = outputs[valid], goal[valid]
        return self.loss(outputs.flatten(0, -2), goal.flatten())

    def loss(self, outputs, goal):
        return F.cross_entropy(self.output(outputs), goal, ignore_index=0 if self.masked else -100)


def stepper(case, model, forward):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Keras has its 1e-7 inside the root.
    optimizer = torch.optim.RMSprop(trained, lr=0.001, alpha=0.9, eps=1e-7**0.5)

    def step(source, decoder, goal):
        lengths = torch.from_numpy((source != 0).sum(1)) if case["masked"] else None
        optimizer.zero_grad(set_to_none=True)
        loss = forward(*(torch.from_numpy(source).long(), lengths), *(torch.from_numpy(x).long() for x in (decoder, goal)))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def eager(case, weights):
    model = Textbook(case, weights)
    return stepper(case, model, model)


def eager_selected(case, weights):
    model = Textbook(case, weights, select=True)
    return stepper(case, model, model)


def compiled(case, weights, select=False):
    # What torch.compile makes of the LSTM itself is half as fast as PyTorch's own kernel, so only the output layer and
    # its loss are compiled, where it gains most.
    model = Textbook(case, weights, select)
    model.loss = torch.compile(model.loss, dynamic=True if case["masked"] else None)
    return stepper(case, model, model)


def compiled_selected(case, weights):
    return compiled(case, weights, select=True)
