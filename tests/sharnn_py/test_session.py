"""Sequences on PyTorch: fed, scored and generated as the model itself would have them."""

import math

import numpy as np
import pytest
import torch

from sharnn_py import CheckpointError, InputError, State, TorchSession, Vocabulary, nll, save_checkpoint
from sharnn_py.session import Score, nats_of

VOCABULARY = Vocabulary(["<s>", "<unk>", *(str(byte) for byte in b"abcdefghi")])


@pytest.fixture
def session(model):
    return TorchSession(model, VOCABULARY)


def test_segments_and_steps_are_calls_of_the_model(model, tokens):
    session = TorchSession(model, batch=3)
    with torch.inference_mode():
        first, state = model(tokens[:4])
        second, state = model(tokens[4:5], state)
    assert np.array_equal(session.prefill(tokens[:4].numpy()), first.numpy())
    assert np.array_equal(session.step(tokens[4].numpy()), second[0].numpy())
    assert all(torch.equal(a, b) for x, y in zip(session.state.layers, state.layers, strict=True)
               for a, b in zip((x.h, x.c, x.memory), (y.h, y.c, y.memory), strict=True))  # fmt: skip


def test_a_model_in_training_is_put_into_evaluation(config):
    import dataclasses

    from sharnn_py import SHARNN

    model = SHARNN(dataclasses.replace(config, dropout_hidden=0.5)).train()
    session = TorchSession(model)
    ids = np.array([[3], [4]])
    first = session.fork().prefill(ids)
    assert np.array_equal(session.prefill(ids), first)


def test_a_score_is_the_models_loss_over_segments(model, session):
    text = "abacabadabacabae\nfgh"
    targets = torch.tensor([0 if c == "\n" else VOCABULARY.tokens.index(str(ord(c))) for c in text])
    inputs = torch.cat([torch.tensor([0]), targets[:-1]])
    state, nats = None, 0.0
    for start in range(0, len(text), 6):
        with torch.inference_mode():
            logits, state = model(inputs[start : start + 6, None], state)
        nats += float(nll(logits, targets[start : start + 6, None])) * len(targets[start : start + 6])
    session.prefill(np.array([[5]]))
    before = session.fork().step(np.array([3]))
    score = session.score(text, segment=6)
    assert score.nats == pytest.approx(nats, rel=1e-6)
    assert (score.tokens, score.bytes) == (20, 20)
    assert np.array_equal(session.step(np.array([3])), before)  # the session is as it was


def test_scoring_by_steps_is_scoring_in_segments_of_one(session, monkeypatch):
    by_segments = session.score("abacab", segment=1)
    monkeypatch.setattr(type(session), "step", lambda self, ids: self.prefill(ids[None])[0])
    assert session.score("abacab", segment=1).nats == pytest.approx(by_segments.nats, rel=1e-6)


def test_bits_are_counted_by_byte_and_by_token():
    score = Score(nats=100.0, tokens=20, bytes=50)
    assert score.bits_per_byte == pytest.approx(100 / math.log(2) / 50)
    assert score.bits_per_token == pytest.approx(100 / math.log(2) / 20)
    assert score.perplexity == pytest.approx(math.exp(5))


def test_nll_is_exact_for_large_logits():
    logits = np.array([[1e4, 1e4, -1e4], [0, 0, 0]], np.float32)
    assert nats_of(logits, np.array([0, 2])) == pytest.approx(math.log(2) + math.log(3))


def test_generated_text_is_what_greedy_decoding_of_the_model_gives(model, session):
    prompt = "abacab"
    ids = [VOCABULARY.tokens.index(str(ord(c))) for c in prompt]
    with torch.inference_mode():
        logits, state = model(torch.tensor(ids)[:, None])
        text = ""
        for _ in range(12):
            best = int(logits[-1, 0].argmax())
            text += {0: "\n", 1: "\N{REPLACEMENT CHARACTER}"}.get(best) or chr(int(VOCABULARY.tokens[best]))
            logits, state = model(torch.tensor([[best]]), state)
    assert "".join(session.generate(prompt, 12, temperature=0)) == text
    assert all(torch.equal(a.h, b.h) for a, b in zip(session.state.layers, state.layers, strict=True))


def test_generating_streams(session, monkeypatch):
    pieces = session.generate("abc", 1000, seed=3)
    fed = []
    real = session.step
    monkeypatch.setattr(session, "step", lambda tokens: fed.append(tokens) or real(tokens))
    next(pieces)
    assert len(fed) < 20


def test_a_prompt_may_be_fed_in_segments(session):
    """Under julia's semantics the numbers depend on the segments, so only the memory's length is compared there."""
    whole, cut = session.fork(), session.fork()
    list(whole.generate("abcab", 0, segment=100))
    list(cut.generate("abcab", 0, segment=2))
    assert whole.state.memory_lengths == cut.state.memory_lengths
    if session.config.semantics.attention_scale == "paper":
        for a, b in zip(whole.state.layers, cut.state.layers, strict=True):
            torch.testing.assert_close(a.h, b.h, rtol=0, atol=1e-5)


def test_n_0_only_feeds_the_prompt(session):
    assert list(session.generate("ab", 0)) == []
    assert session.state.memory_lengths[0] > 0 or session.state.memory_lengths[1] > 0


def test_text_is_generated_for_one_sequence_only(model):
    with pytest.raises(InputError, match=r"carries 2; call reset\(\)"):
        TorchSession(model, VOCABULARY, batch=2).generate("a", 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_state_comes_back_in_the_sessions_own_dtype(model, dtype, tmp_path):
    import copy

    session = TorchSession(copy.deepcopy(model).to(dtype))
    session.prefill(np.array([[3], [4]]))
    session.save_state(tmp_path / "state")
    expected = session.step(np.array([5]))
    session.load_state(tmp_path / "state")
    assert session.state.layers[0].h.dtype == dtype
    assert np.array_equal(session.step(np.array([5])), expected)


def test_states_that_do_not_fit_are_refused(model, session, tmp_path):
    State.zeros(model.config, 0).save(tmp_path / "empty")
    with pytest.raises(InputError, match="no sequences"):
        session.load_state(tmp_path / "empty", unidentified=True)
    State.zeros(model.config, 4).save(tmp_path / "four")
    session.load_state(tmp_path / "four", unidentified=True)
    assert session.batch == 4


def test_a_checkpoint_becomes_a_session_with_its_vocabulary(model, tmp_path):
    save_checkpoint(model, tmp_path / "c", VOCABULARY)
    assert TorchSession.load(tmp_path / "c").score("abc").tokens == 3
    from sharnn_py import Baseline, BaselineConfig

    save_checkpoint(Baseline(BaselineConfig(vocab=5, emb=4, hidden=6)), tmp_path / "b")
    with pytest.raises(CheckpointError, match="holds a baseline"):
        TorchSession.load(tmp_path / "b")


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_named(model, tmp_path, device):
    save_checkpoint(model, tmp_path)
    with pytest.raises(InputError, match=f"device is '{device}', which this PyTorch cannot use"):
        TorchSession.load(tmp_path, device)
