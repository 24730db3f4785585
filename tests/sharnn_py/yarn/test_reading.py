"""Pooled vectors are what the model computes, on either back end, wherever reading is taken up again."""

import numpy as np
import pytest
import torch

from export import Session, export_checkpoint
from sharnn_py import TorchSession, Vocabulary
from sharnn_py.errors import InputError
from sharnn_py.yarn import reading
from sharnn_py.yarn.cutting import Phrase, cut
from sharnn_py.yarn.reading import Reader, Stretch, Tokens, stretches
from tests.sharnn_py.yarn.conftest import TEXT, make_model

DATA = TEXT.encode()


def read(reader, data=DATA, how="sentences"):
    tokens = Tokens.of(reader.vocabulary, data, cut(data, how))
    reader.begin()
    return np.concatenate([reader.read(tokens, stretch) for stretch in stretches(tokens.bounds)])


def test_a_pooled_vector_is_the_mean_over_word_ends_and_over_surprise(reader, model):
    data = b"a big sea."
    ids = Tokens.of(reader.vocabulary, data, [Phrase(2, 9, "")]).ids
    seen = {}
    logits, _ = model(torch.from_numpy(np.concatenate([[0], ids]))[:, None], note=seen.__setitem__)
    rows = seen["blocks.1.lnmem"][1:, 0].detach().numpy()  # one for each byte
    surprisal = -torch.log_softmax(logits[:-1, 0], -1)[range(len(ids)), ids].detach().numpy()
    reader.begin()
    tokens = Tokens.of(reader.vocabulary, data, [Phrase(2, 9, "")])
    pooled = reader.read(tokens, Stretch(0, 1, 0, 9))[0]
    np.testing.assert_allclose(pooled[:8], rows[[4, 8]].mean(0), atol=1e-5)
    np.testing.assert_allclose(pooled[8:], np.average(rows[2:9], axis=0, weights=surprisal[2:9]), atol=1e-5)


def test_both_back_ends_pool_the_same(reader, checkpoint, tmp_path):
    export_checkpoint(checkpoint, tmp_path / "exported")
    ours, theirs = read(reader), read(Reader(Session.load(tmp_path / "exported")))
    np.testing.assert_allclose(theirs, ours, atol=1e-4)  # float32 products in another order, over 300 steps


def test_it_is_read_alike_from_any_saved_state(reader, monkeypatch, tmp_path):
    monkeypatch.setattr(reading, "STRETCH", 60)
    tokens = Tokens.of(reader.vocabulary, DATA, cut(DATA, "sentences"))
    plan = stretches(tokens.bounds)
    assert len(plan) > 3
    whole = read(reader)
    reader.begin()
    parts = []
    for stretch in plan:
        parts.append(reader.read(tokens, stretch))
        reader.session.save_state(tmp_path / "state")
        reader.session.reset()
        reader.session.load_state(tmp_path / "state")
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_stretches_end_with_phrases_and_are_not_too_many(monkeypatch):
    monkeypatch.setattr(reading, "STRETCH", 10)
    monkeypatch.setattr(reading, "STRETCHES", 4)
    bounds = np.stack([np.arange(0, 1000, 5), np.arange(3, 1003, 5)], axis=1)
    plan = stretches(bounds)
    assert len(plan) <= 4
    assert [stretch.end for stretch in plan] == [bounds[stretch.last - 1, 1] for stretch in plan]
    assert [(plan[0].first, plan[0].start), plan[-1].last] == [(0, 0), 200]


def test_without_attention_it_is_the_state_after_the_phrase(vocabulary):
    model = make_model(attention_layers=())
    reader = Reader(TorchSession(model, vocabulary))
    data = b"One. Two!"
    pooled = read(reader, data)
    ids = torch.from_numpy(np.concatenate([[0], Tokens.of(vocabulary, data, []).ids]))[:, None]
    _, state = model(ids[:5])
    np.testing.assert_allclose(pooled[0], torch.cat([layer.h[0] for layer in state.layers]).numpy(), atol=1e-5)
    assert pooled.shape == (2, sum(reader.blocks))


@pytest.mark.parametrize("tokens", [["a", "b", " ", ".", "é"], ["a", "bé", "b."]])
def test_phrases_are_found_among_characters_and_words(tokens):
    vocabulary = Vocabulary(["<s>", "<unk>", *tokens])
    data = "a bé\n\na b. a".encode()
    found = Tokens.of(vocabulary, data, [Phrase(0, 5, ""), Phrase(7, 11, "")])
    if " " in tokens:
        assert found.bounds.tolist() == [[0, 4], [6, 10]]
        assert np.flatnonzero(found.ends).tolist() == [0, 3, 6, 8, 11]
    else:
        assert found.bounds.tolist() == [[0, 2], [4, 6]]
        assert found.ends.all()


def test_words_that_are_none_are_refused(reader):
    with pytest.raises(InputError, match="empty"):
        reader.query(" \n")
    assert reader.query("who?").shape == (16,)


def test_a_model_without_a_vocabulary_is_refused(model):
    with pytest.raises(InputError, match=r"vocabulary\.json"):
        Reader(TorchSession(model))
