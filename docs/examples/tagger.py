"""Is this torch module the model in tagger.jl? Run from anywhere: `python docs/examples/tagger.py`."""

from pathlib import Path

import torch
from torch import nn

import parity
from julia_bridge import Worker, ensure


class Tagger(nn.Module):
    """What the Julia model was ported to."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 8)
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        hidden, _ = self.rnn(x)
        return self.out(self.norm(hidden))


torch.manual_seed(0)
port, x = Tagger(), torch.randn(6, 2, 4)  # (time, batch, features)
weights = {name: p.detach().numpy() for name, p in port.named_parameters()}

ensure(print)
with Worker() as julia:
    julia.include(Path(__file__).with_name("tagger.jl"))
    seen = julia.call("Tagger.forward", weights, x.numpy())

reference = parity.recording_of(
    {"input/1/0": x, **{f"eval/1/{name}": array for name, array in seen.items()}}, implementation="tagger.jl"
)
names = {"rnn.0": "hidden", "norm": "normed", "out": "scores"}
print(parity.text(parity.check(port, reference, names=names, time_axis=0)))
