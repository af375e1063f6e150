"""State dicts of PyTorch as safetensors, and what the modules give; see ../README.md."""

import json
import pathlib
import sys

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "keras"))

import formula  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402


class First(nn.Module):
    """The output of a recurrent module, without its states."""

    def __init__(self, module):
        super().__init__()
        self.rnn = module

    def forward(self, inputs):
        return self.rnn(inputs)[0]


def recurrent(kind, **options):
    return First(kind(3, 4, batch_first=True, **options))


embedding = ["embedding", {"inputDim": 7, "outputDim": 3}]
lstm = ["lstm", {"units": 4, "returnSequences": True}]
gru = ["gru", {"units": 4, "returnSequences": True}]
dense = ["dense", {"units": 5}]
sequences = {
    "lstm": ([embedding, lstm, dense], [recurrent(nn.LSTM), nn.Linear(4, 5)]),
    "lstm-no-bias": ([embedding, ["lstm", {"units": 4, "returnSequences": True, "useBias": False}], ["dense", {"units": 5, "useBias": False}]], [recurrent(nn.LSTM, bias=False), nn.Linear(4, 5, bias=False)]),
    "lstm-stacked": ([embedding, lstm, lstm, lstm, dense], [recurrent(nn.LSTM, num_layers=3), nn.Linear(4, 5)]),
    "gru": ([embedding, gru, dense], [recurrent(nn.GRU), nn.Linear(4, 5)]),
    "simple-rnn": ([embedding, ["simpleRnn", {"units": 4, "returnSequences": True}], dense], [recurrent(nn.RNN), nn.Linear(4, 5)]),
    "bidirectional-lstm": ([embedding, ["bidirectional", {}, lstm], ["bidirectional", {}, lstm], dense], [recurrent(nn.LSTM, bidirectional=True, num_layers=2), nn.Linear(8, 5)]),
    "bidirectional-gru": ([embedding, ["bidirectional", {}, gru], dense], [recurrent(nn.GRU, bidirectional=True), nn.Linear(8, 5)]),
    "layer-normalization": ([embedding, ["layerNormalization", {"epsilon": 1e-5}], dense], [nn.LayerNorm(3), nn.Linear(3, 5)]),
    "time-distributed": ([embedding, ["timeDistributed", {}, ["dense", {"units": 4}]], dense], [nn.Linear(3, 4), nn.Linear(4, 5)]),
}  # fmt: skip


def fill(module):
    for index, parameter in enumerate(module.parameters()):
        parameter.data = torch.from_numpy(formula.values(200 + index, tuple(parameter.shape), 0.9))


def listed(tensor):
    return {"shape": tuple(tensor.shape), "output": [float(f"{value:.8g}") for value in tensor.detach().double().flatten()]}


cases = []
for name, (layers, modules) in sequences.items():
    module = nn.Sequential(nn.Embedding(7, 3), *modules)
    fill(module)
    save_file(module.state_dict(), here / f"torch-{name}.safetensors", metadata={"format": "pt"})
    cases.append({"name": name, "layers": layers, **listed(module(torch.from_numpy(formula.integers(1, (2, 6), 1, 7))))})


class Textbook(nn.Module):
    """Both LSTMs have the same shapes, so that only names tell them apart."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(8, 4)
        self.characters = nn.Embedding(9, 4)
        self.encoder = nn.LSTM(4, 5, batch_first=True)
        self.decoder = nn.LSTM(4, 5, batch_first=True)
        self.next = nn.Linear(5, 9)

    def forward(self, reader, writer):
        _, states = self.encoder(self.words(reader))
        outputs, _ = self.decoder(self.characters(writer), states)
        return self.next(outputs).softmax(-1)


module = Textbook()
fill(module)
save_file(module.state_dict(), here / "torch-textbook.safetensors")
half = {key: value.half() if key.startswith("next") else value.bfloat16() for key, value in module.state_dict().items()}
save_file(half, here / "torch-textbook-half.safetensors")
data = [torch.from_numpy(formula.integers(1, (2, 6), 1, 8)), torch.from_numpy(formula.integers(2, (2, 4), 1, 9))]
textbook = listed(module(*data))
module.load_state_dict({key: value.float() for key, value in half.items()})
rounded = listed(module(*data))
(here / "torch.json").write_text(json.dumps({"torch": torch.__version__, "sequences": cases, "textbook": textbook, "half": rounded}, indent=1))
