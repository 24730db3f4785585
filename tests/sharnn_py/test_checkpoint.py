"""A checkpoint folder holds a model whole, or says what is wrong with it."""

import errno
import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from sharnn_py import (
    Baseline,
    BaselineConfig,
    CheckpointError,
    ConfigError,
    Vocabulary,
    WeightsError,
    load_checkpoint,
    save_checkpoint,
)

WORDS = Vocabulary(["<s>", "<unk>", *"abcdefghi"])


def test_round_trip_bit_for_bit(model, tokens, tmp_path):
    save_checkpoint(model, tmp_path / "new", WORDS)
    checkpoint = load_checkpoint(tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "config.json",
        "model.safetensors",
        "vocabulary.json",
    ]
    assert checkpoint.model.config == model.config
    assert checkpoint.vocabulary.tokens == WORDS.tokens
    assert torch.equal(checkpoint.model(tokens)[0], model(tokens)[0])


def test_float64_and_the_baseline(model, tmp_path):
    save_checkpoint(model.double(), tmp_path)
    assert load_checkpoint(tmp_path).model.encoder.weight.dtype == torch.float64
    baseline = Baseline(BaselineConfig(vocab=5, emb=3, hidden=4, layers=2))
    save_checkpoint(baseline, tmp_path)
    loaded = load_checkpoint(tmp_path).model
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), baseline.parameters(), strict=True))


def test_a_model_without_a_vocabulary_leaves_no_other_models_behind(model, tmp_path):
    save_checkpoint(model, tmp_path, WORDS)
    save_checkpoint(model, tmp_path)
    assert load_checkpoint(tmp_path).vocabulary is None


def test_what_is_wrong_is_named(model, tmp_path):
    with pytest.raises(CheckpointError, match="is not a checkpoint that can be read"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="the vocabulary has 2 tokens, the model 11"):
        save_checkpoint(model, tmp_path, Vocabulary(["<s>", "<unk>"]))
    save_checkpoint(model, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["encoder.weight"] = weights["encoder.weight"][:, :4].clone()
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"encoder\.weight has shape \(11, 4\), expected \(11, 8\)"):
        load_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"1234")
    with pytest.raises(CheckpointError, match="can be read"):
        load_checkpoint(tmp_path)
    save_checkpoint(model, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "emb": 7}))
    with pytest.raises(ConfigError, match="heads is 2; it must divide emb, which is 7"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**values, "model": "gpt"}))
    with pytest.raises(CheckpointError, match="model is 'gpt'"):
        load_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_old_checkpoint_whole(model, tokens, tmp_path, monkeypatch):
    save_checkpoint(model, tmp_path)
    before = model(tokens)[0]
    with torch.no_grad():
        model.encoder.weight.add_(1.0)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(model, tmp_path)
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert torch.equal(load_checkpoint(tmp_path).model(tokens)[0], before)
