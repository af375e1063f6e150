"""Encoder-decoders of GRUs, and with a bidirectional LSTM encoder, in PyTorch in its best ordinary way."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from torch_lstm import Textbook, stepper, use_threads, versions

__all__ = ["compiled", "eager", "use_threads", "versions"]


def _set_lstm(lstm, weights, suffix=""):
    # The gates have the same order. PyTorch has two biases, of which one is frozen at zero.
    kernel, recurrent, bias = weights
    getattr(lstm, "weight_ih_l0" + suffix).copy_(kernel.T)
    getattr(lstm, "weight_hh_l0" + suffix).copy_(recurrent.T)
    getattr(lstm, "bias_ih_l0" + suffix).copy_(bias)
    zero = getattr(lstm, "bias_hh_l0" + suffix)
    zero.zero_()
    zero.requires_grad_(False)


def _set_gru(gru, weights):
    # PyTorch has the reset gate first, Keras the update gate.
    def order(rows):
        z, r, n = rows.chunk(3)
        return torch.cat([r, z, n])

    kernel, recurrent, bias = weights
    gru.weight_ih_l0.copy_(order(kernel.T))
    gru.weight_hh_l0.copy_(order(recurrent.T))
    gru.bias_ih_l0.copy_(order(bias[0]))
    gru.bias_hh_l0.copy_(order(bias[1]))


class Translator(nn.Module):
    loss = Textbook.loss

    def __init__(self, case, weights):
        super().__init__()
        vocabulary, dimension, units = case["vocabulary"], case["dimension"], case["units"]
        self.masked = case["masked"]
        self.both = case["kind"] == "bidirectional"
        layer = nn.LSTM if self.both else nn.GRU
        self.embedding = nn.Embedding(vocabulary, dimension)
        self.encoder = layer(dimension, units, batch_first=True, bidirectional=self.both)
        self.decoder = layer(dimension, units, batch_first=True)
        self.output = nn.Linear(units, vocabulary)
        table, *rest, kernel, bias = [torch.from_numpy(weight) for weight in weights]
        with torch.no_grad():
            self.embedding.weight.copy_(table)
            if self.both:
                _set_lstm(self.encoder, rest[0:3])
                _set_lstm(self.encoder, rest[3:6], "_reverse")
                _set_lstm(self.decoder, rest[6:9])
            else:
                _set_gru(self.encoder, rest[0:3])
                _set_gru(self.decoder, rest[3:6])
            self.output.weight.copy_(kernel.T)
            self.output.bias.copy_(bias)

    def forward(self, source, lengths, decoder, goal):
        embedded = self.embedding(source)
        if self.masked:
            embedded = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.encoder(embedded)
        if self.both:
            state = tuple(x.sum(0, keepdim=True) for x in state)
        outputs, _ = self.decoder(self.embedding(decoder), state)
        return self.loss(outputs.flatten(0, -2), goal.flatten())


def eager(case, weights):
    model = Translator(case, weights)
    return stepper(case, model, model)


def compiled(case, weights):
    # The recurrent layers stay PyTorch's own kernels, as in torch_lstm.
    model = Translator(case, weights)
    model.loss = torch.compile(model.loss, dynamic=True if case["masked"] else None)
    return stepper(case, model, model)
