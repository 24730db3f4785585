"""Recordings to damage, comparisons that cost half, and commands that start no Julia of their own."""

import json
import lzma
from contextlib import nullcontext

import pytest
from safetensors.torch import load, save_file

from parity import PACKAGED

RUN_JULIA = ("parity.sharnn.live", "parity.sharnn.attribution.run", "parity.sharnn.training.run")


class Editable:
    """A packaged recording unpacked into a folder of its own, with its tensors and config open to change."""

    def __init__(self, name, folder):
        data = lzma.decompress((PACKAGED / f"{name}.safetensors.xz").read_bytes())
        self.tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        self.metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        self.config = json.loads(self.metadata["config"])
        self.folder = folder
        self.path = folder / "case.safetensors"

    def write(self):
        metadata = {**self.metadata, "config": json.dumps(self.config)}
        save_file({name: t.clone() for name, t in self.tensors.items()}, self.path, metadata)
        return self.folder


@pytest.fixture
def julia(tmp_path):
    return Editable("sha_rnn_jl/L1_h1_tied_b2", tmp_path)


@pytest.fixture
def smerity(tmp_path):
    return Editable("smerity/L2_h1_tied_b2", tmp_path)


@pytest.fixture
def one_rounded_run(monkeypatch):
    """One run with random rounding in place of three, for tests of faults far above rounding."""
    monkeypatch.setattr("parity.judge.verdicts.ROUNDED_RUNS", 1)


@pytest.fixture
def one_layer_explained(monkeypatch):
    """Only the first wrong layer is explained, for tests of why that is wrong: a search of all takes several times as
    long."""
    monkeypatch.setattr("parity.diagnosis.case.MOST_LAYERS", 1)


@pytest.fixture
def shared_julia(worker, monkeypatch):
    """What would start a Julia is given the one of all tests: another would compile for a quarter of a minute."""
    for module in RUN_JULIA:
        monkeypatch.setattr(f"{module}.Worker", lambda timeout: nullcontext(worker))
