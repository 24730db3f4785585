"""A state is one value: it can be picked from, moved, written and read."""

import pytest
import torch
from safetensors.torch import save_file

from sharnn_py import CheckpointError, LayerState, State


def same(a, b):
    pairs = zip(a.layers, b.layers, strict=True)
    return all(torch.equal(x, y) for p, q in pairs for x, y in zip(p.tensors(), q.tensors(), strict=True))


@pytest.fixture
def state(model, tokens):
    return model(tokens)[1]


def test_picking_sequences_commutes_with_the_model(model, tokens, state):
    order = [2, 0, 0]
    logits, after = model(tokens[:, order], state[order])
    expected, expected_after = model(tokens, state)
    torch.testing.assert_close(logits, expected[:, order], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.layers[1].memory, expected_after[order].layers[1].memory, rtol=1e-5, atol=1e-5)


def test_every_way_of_indexing_keeps_the_batch_axis(state):
    assert state[1].batch == 1
    assert same(state[1], state[1:2])
    assert same(state[-1], state[torch.tensor([2])])
    assert same(state[torch.tensor([True, False, True])], state[[0, 2]])
    with pytest.raises(IndexError):
        state[3]


def test_picking_copies(state):
    picked = state[:]
    picked.layers[0].h.zero_()
    assert state.layers[0].h.abs().sum() > 0


def test_written_and_read_back_bit_for_bit(state, tmp_path):
    state[[2, 1]].save(tmp_path / "state.safetensors")
    assert same(State.load(tmp_path / "state.safetensors"), state[[2, 1]])
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_moved_and_detached(state):
    assert state.to(torch.float64).layers[1].memory.dtype == torch.float64
    assert same(state.to("cpu"), state)
    attached = State(tuple(LayerState(*(t.clone().requires_grad_() for t in s.tensors())) for s in state.layers))
    assert not any(t.requires_grad for layer in attached.detach().layers for t in layer.tensors())


def test_what_is_not_a_state_is_refused(state, tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(CheckpointError, match="cannot be read as a saved state"):
        State.load(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not a saved state"):
        State.load(path)
    state.save(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="cannot be read"):
        State.load(path)
    save_file(
        {"layers.0.h": torch.zeros(1), "layers.0.x": torch.zeros(1), "y": torch.zeros(1)},
        path,
        {"format": "sharnn state 1"},
    )
    with pytest.raises(CheckpointError, match=r"layers\.0\.c' is missing"):
        State.load(path)
