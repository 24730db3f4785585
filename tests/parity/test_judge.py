"""What the suite says of differences between the programs, of a port that stops, and of one that is right."""

import pytest

from parity import run_case
from parity.recording.library import find
from parity.sharnn.faults.catalogue import FAULTS
from parity.sharnn.faults.plant import Edit, planted
from tests.parity.cut_short import as_far_as, first_seen_at

pytestmark = pytest.mark.usefixtures("one_rounded_run")


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
    assert run_case(first_seen_at(name, first, after=0), flip=[row]).first.name == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flip"),
    [
        # Row 6 shows in training with dropout alone, and the recordings were made without.
        ("smerity/L2_h1_tied_b2", ["attention_dropout"]),
        # With two blocks the two memory rules are one for segments no longer than the memory.
        ("sha_rnn_jl/L2_h1_tied_b2", ["memory_cut"]),
    ],
)
def test_without_a_fault_there_is_no_divergence(name, flip):
    result = run_case(find(name), flip=flip)
    assert result
    assert not result.problem
    assert result.first is None


def test_a_port_that_stops_with_an_error_diverges():
    with planted(Edit("sharnn_py.layers:Boom.forward", "self.fold(self.dropout(x))", "x")):  # F wide where H is due
        result = run_case(as_far_as("sha_rnn_jl/L1_h1_tied_b2", 2))
    assert not result
    assert result.first.name == "eval/1/blocks.1.boom"
    stopped = next(c for c in result.comparisons if c.name == "after eval/1/blocks.1.boom")
    assert "stopped with RuntimeError at sharnn_py/model.py:" in stopped.end_to_end.problem
    assert not any(c.name == "eval/1/blocks.1.out" and c.verdict == "agrees" for c in result.comparisons)


def test_a_wrong_shape_does_not_cascade():
    """Behind a layer that gives a wrong shape every layer is judged on the reference's inputs."""
    with planted(Edit("sharnn_py.layers:Boom.forward", "self.fold(self.dropout(x))", "x")):
        result = run_case(as_far_as("sha_rnn_jl/L1_h1_tied_b2", 2))
    assert {c.layer for c in result.wrong if c.tensor_name.is_forward} == {"blocks.1.boom"}


def test_a_port_that_refuses_its_own_state_diverges():
    """It stops with an error of this project, which is not the recording's fault."""
    change = Edit("sharnn_py.model:Block.forward", "LayerState(h_n.detach()", "LayerState(h_n.detach().half()")
    with planted(change):
        result = run_case(find("sha_rnn_jl/L1_h1_tied_b2"))
    assert not result.problem
    assert result.first.name == "carry/1/blocks.1.h"
    assert "stopped with InputError" in result.comparisons[-1].end_to_end.problem


@pytest.mark.slow
def test_the_baseline_is_judged_in_isolation():
    """An LSTM that is wrong is wrong alone; what is made of it inherits that."""
    change = Edit("sharnn_py.baseline:Baseline.forward", "self.rnn(x, state)", "self.rnn(x * 1.01, state)")
    with planted(change):
        result = run_case(find("sha_rnn_jl/baseline_l2"))
    assert {c.layer for c in result.wrong} == {"rnn", "h", "c"}
    assert {"logits", "loss", "grad/projection.w"} <= {c.layer for c in result.inherited}


@pytest.mark.slow
def test_a_loaders_fault_does_not_accuse_the_optimiser():
    """Updates take over recorded parameters, gradients and moments by the same loader."""
    fault = next(fault for fault in FAULTS if fault.name == "query-loaded-transposed")
    with planted(fault.change):
        result = run_case(find(fault.recording))
    assert {c.tensor_name.group for c in result.wrong} == {"param"}
    assert any(c.tensor_name.group == "train" for c in result.inherited)
