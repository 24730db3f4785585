"""The whole model: state in and out, intermediates, gradients at segment borders, bad input."""

import re
from pathlib import Path

import pytest
import torch

from sharnn_py import PAPER, SHARNN, Baseline, BaselineConfig, Config, InputError, State, nll

DOCUMENTED = Path(__file__).parents[2] / "docs" / "tensors.md"


def test_no_state_is_zero_state_and_empty_memory(model, config, tokens):
    logits, state = model(tokens)
    again, _ = model(tokens, State.zeros(config, 3))
    assert torch.equal(logits, again)
    assert state.memory_lengths == (0, 6, 0)


def test_a_forward_pass_leaves_the_state_it_was_given_as_it_was(model, tokens):
    _, state = model(tokens)
    before = [t.clone() for layer in state.layers for t in layer.tensors()]
    model(tokens, state)
    assert all(
        torch.equal(a, b) for a, b in zip(before, (t for layer in state.layers for t in layer.tensors()), strict=True)
    )


def test_the_memory_is_the_newest_normed_hidden_states(model, tokens):
    seen = {}
    _, state = model(tokens[:4], note=seen.__setitem__)
    first = seen["blocks.1.lnmem"]
    assert torch.equal(state.layers[1].memory, first)
    _, state = model(tokens[4:], state, seen.__setitem__)
    assert torch.equal(state.layers[1].memory, torch.cat([first, seen["blocks.1.lnmem"]])[-6:])


def test_h_and_c_are_the_last_steps(model, tokens):
    seen = {}
    _, state = model(tokens, note=seen.__setitem__)
    for i, layer in enumerate(state.layers):
        assert torch.equal(layer.h, seen[f"blocks.{i}.rnn"][-1])


def test_gradients_stop_at_segment_borders(model, tokens):
    _, state = model(tokens[:4])
    assert not any(t.requires_grad for layer in state.layers for t in layer.tensors())


def test_two_segments_are_one_under_paper_until_the_memory_is_cut(tokens):
    model = SHARNN(Config(vocab=11, emb=8, hidden=24, layers=3, max_memory=9, semantics=PAPER)).double().eval()
    whole, _ = model(tokens)
    first, state = model(tokens[:5])
    second, _ = model(tokens[5:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-13)


def test_noting_changes_nothing_and_names_are_the_documented_ones(model, tokens):
    seen = {}
    logits, _ = model(tokens, note=seen.__setitem__)
    assert torch.equal(logits, model(tokens)[0])
    documented = set(re.findall(r"^\| `([^`]+)` \|", DOCUMENTED.read_text(), flags=re.MULTILINE))
    assert {re.sub(r"^blocks\.\d+", "blocks.*", name) for name in seen} == documented


def test_attention_in_every_layer_or_none(tokens):
    for layers, lengths in (((0, 1, 2), (6, 6, 6)), ((), (0, 0, 0))):
        model = SHARNN(Config(vocab=11, emb=8, hidden=24, layers=3, max_memory=6, attention_layers=layers))
        assert model(tokens)[1].memory_lengths == lengths


def test_target_minus_one_is_left_out_of_the_loss():
    logits = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, 2], [-1, 4], [0, 3]])
    kept = targets != -1
    expected = -logits.log_softmax(-1)[kept].gather(1, targets[kept][:, None]).mean()
    torch.testing.assert_close(nll(logits, targets), expected, rtol=1e-6, atol=0)
    assert nll(logits, torch.full((3, 2), -1)).isnan()


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (torch.tensor([[1, 2], [-100, 4]]), r"run from -100 to 4; .* 0 to 4, or -1 .* leaves out -100"),
        (torch.tensor([[1, 2], [-2, 4]]), "run from -2 to 4"),
        (torch.tensor([[1, 2], [-1, 5]]), "run from -1 to 5; with a vocabulary of 5 they must be 0 to 4"),
        (torch.zeros(1, 4, dtype=torch.int64), r"targets have shape \(1, 4\) and logits \(2, 2, 5\)"),
        (torch.zeros(4, dtype=torch.int64), r"targets have shape \(4,\)"),
        (torch.zeros(2, 2), "targets are torch.float32"),
        (torch.zeros(2, 2, dtype=torch.bool), "targets are torch.bool"),
    ],
)
def test_targets_that_would_give_a_wrong_loss_are_refused_in_words(targets, words):
    with pytest.raises(InputError, match=words):
        nll(torch.zeros(2, 2, 5), targets)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.full((2, 3), 11), "token ids run from 11 to 11; with a vocabulary of 11 they must be 0 to 10"),
        (torch.full((2, 3), -1), "run from -1"),
        (torch.zeros(0, 3, dtype=torch.int64), "needs at least one step"),
        (torch.zeros(4, dtype=torch.int64), r"must be \(T, B\)"),
        (torch.zeros(4, 3), "must be int64 or int32"),
    ],
)
def test_bad_tokens_are_refused_in_words(model, bad, words):
    with pytest.raises(InputError, match=words):
        model(bad)


def test_a_state_of_other_sequences_or_another_model_is_refused(model, config, tokens):
    _, state = model(tokens)
    with pytest.raises(InputError, match="with the same batch size"):
        model(tokens[:, :2], state)
    with pytest.raises(InputError, match="move the state with"):
        model(tokens, state.to(torch.float64))
    with pytest.raises(InputError, match="the state has 2 layers, the model 3"):
        model(tokens, State(state.layers[:2]))
    with pytest.raises(InputError, match="this block has no attention"):
        model(tokens, State((state.layers[1], *state.layers[1:])))


def test_the_baseline_carries_its_state_and_refuses_another(tokens):
    model = Baseline(BaselineConfig(vocab=11, emb=4, hidden=6, layers=2)).double().eval()
    whole, _ = model(tokens)
    first, state = model(tokens[:4])
    second, _ = model(tokens[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-13, atol=1e-14)
    assert not state[0].requires_grad
    with pytest.raises(InputError, match="expected"):
        model(tokens[:, :1], state)
