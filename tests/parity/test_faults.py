"""The suite finds deliberate faults in the port and names the tensor that shows each first."""

import pytest

from parity import PACKAGED, Recording
from parity.suite import compare
from sharnn_py.config import PRESETS
from tests.parity.faults import FAULTS


def recording(name):
    return Recording(name, PACKAGED / f"{name}.safetensors.xz")


def first_divergence(name, *flip):
    semantics = PRESETS[recording(name).program].flipped(*flip)
    return next((c for c in compare(recording(name), semantics) if not c), None)


@pytest.mark.parametrize(("fault", "name", "first"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_is_caught_at_its_tensor(fault, name, first, monkeypatch):
    fault(monkeypatch)
    assert first_divergence(name).name == first


@pytest.mark.parametrize(
    ("row", "name", "first"),
    [
        ("layer_norm", "sha_rnn_jl/L4_h1_tied_b2", "eval/1/blocks.1.lnstart"),
        ("boom", "sha_rnn_jl/L4_h1_tied_b2", "eval/1/blocks.1.boom"),
        ("attention_scale", "sha_rnn_jl/L4_h1_tied_b2", "eval/1/blocks.3.attn.scores"),
        ("memory_cut", "sha_rnn_jl/L4_longseg", "eval/2/mem_start_idx"),
        ("memory_cut", "sha_rnn_jl/L4_h1_tied_b2", "eval/3/mem_in.3.size"),
        ("tied_bias", "sha_rnn_jl/L4_h1_tied_b2", "param/decoder.bias"),
        ("layer_norm", "smerity/L4_h2_tied_b3", "eval/1/blocks.0.lnstart"),
        ("boom", "smerity/L4_h2_tied_b3", "eval/1/blocks.0.ff"),
        ("attention_scale", "smerity/L4_h2_tied_b3", "eval/1/blocks.2.attn.focus"),
        ("memory_cut", "smerity/L4_h2_tied_b3", "eval/3/blocks.2.attn.focus"),
        ("tied_bias", "smerity/L4_h2_tied_b3", "eval/1/logits"),
    ],
)
def test_a_flipped_row_shows_first_where_the_table_says(row, name, first):
    assert first_divergence(name, row).name == first


def test_without_a_fault_there_is_no_divergence():
    assert first_divergence("sha_rnn_jl/L2_longseg") is None
    # Row 6 shows in training with dropout alone, and the recordings were made without.
    assert first_divergence("smerity/L2_h1_tied_b2", "attention_dropout") is None
    # With two blocks the two memory rules are one for segments no longer than the memory.
    assert first_divergence("sha_rnn_jl/L2_h1_tied_b2", "memory_cut") is None


def test_a_port_that_stops_with_an_error_diverges(monkeypatch):
    monkeypatch.setattr("sharnn_py.layers.Boom.fold", lambda self, x: x)  # F wide where H is due
    found = list(compare(recording("sha_rnn_jl/L1_h1_tied_b2"), PRESETS["julia"]))
    assert found[-1].name == "after eval/1/blocks.1.boom"
    assert "the port stopped with RuntimeError" in found[-1].problem
    assert not found[-1]
