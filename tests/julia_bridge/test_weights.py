"""Checkpoints to SHA-RNN.jl's parameters and back, bit for bit, by way of Julia too."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from julia_bridge import JuliaModel
from julia_bridge.sharnn.weights import FORMAT, SCRIPT, export_parameters, import_parameters
from sharnn_py import (
    JULIA,
    PAPER,
    SHARNN,
    Baseline,
    BaselineConfig,
    CheckpointError,
    Config,
    ConfigError,
    Vocabulary,
    WeightsError,
    load_checkpoint,
    save_checkpoint,
    to_julia,
)

WORDS = ["<s>", "<unk>", 'quo"te', "back\\slash", "tab\t", "漢", "g"]


@pytest.fixture(params=[(1, True), (2, False), (4, True)], ids=str)
def checkpoint(request, tmp_path):
    layers, tied = request.param
    sizes = dict(vocab=7, emb=6, hidden=12, layers=layers, heads=2, max_memory=9, tied=tied)
    dropouts = dict(dropout_embedding=0.25, dropout_hidden=0.5, dropout_output=0.125)
    config = Config(**sizes, **dropouts, semantics=JULIA)
    model = SHARNN(config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    save_checkpoint(model, tmp_path / "model", Vocabulary(WORDS))
    return tmp_path / "model"


def same(one, other):
    a, b = load_checkpoint(one), load_checkpoint(other)
    assert a.model.config == b.model.config
    assert a.vocabulary.tokens == b.vocabulary.tokens
    assert all(torch.equal(x, y) for x, y in zip(a.model.parameters(), b.model.parameters(), strict=True))


def test_there_and_back(checkpoint, tmp_path):
    export_parameters(checkpoint, tmp_path / "one.safetensors")
    import_parameters(tmp_path / "one.safetensors", tmp_path / "again")
    same(checkpoint, tmp_path / "again")
    export_parameters(tmp_path / "again", tmp_path / "two.safetensors")
    one, two = (load_file(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture(scope="module")
def saver(worker):
    worker.include(SCRIPT)
    worker.include(Path(__file__).with_name("saved_model.jl"))
    return worker


def test_julia_saves_what_import_reads(checkpoint, tmp_path, saver):
    loaded = load_checkpoint(checkpoint)
    config = loaded.model.config
    parameters = to_julia(loaded.model.state_dict(), config)
    saver.call(
        "SavedModel.save",
        str(tmp_path / "julia.safetensors"),
        {name: tensor.numpy() for name, tensor in parameters.items()},
        config.layers,
        config.heads,
        config.max_memory,
        config.tied,
        WORDS,
    )
    written = load_file(tmp_path / "julia.safetensors")
    assert written.keys() == parameters.keys()
    import_parameters(tmp_path / "julia.safetensors", tmp_path / "again")
    if config.layers == 1:  # without attention SHA-RNN.jl keeps no number of heads
        assert load_checkpoint(tmp_path / "again").model.config.heads == 1
    else:
        same(checkpoint, tmp_path / "again")
    assert not (tmp_path / "julia.safetensors.part").exists()


def test_julia_runs_what_was_exported(checkpoint, tmp_path, worker):
    export_parameters(checkpoint, tmp_path / "p.safetensors")
    parameters = {name: tensor.numpy() for name, tensor in load_file(tmp_path / "p.safetensors").items()}
    model = load_checkpoint(checkpoint).model
    tokens = torch.tensor([[0, 1], [2, 6], [3, 4]])
    found = JuliaModel("reference", model.config, parameters, worker).run(tokens.numpy(), tokens.numpy()).logits
    # Forward error of a few dozen units of rounding, as the bridge's own comparison with the recordings has.
    torch.testing.assert_close(torch.from_numpy(found), model(tokens)[0].detach(), rtol=1e-4, atol=1e-4)


def test_models_that_julia_does_not_have(tmp_path):
    def refuse(model, error, words):
        save_checkpoint(model, tmp_path / "m")
        with pytest.raises(error, match=words):
            export_parameters(tmp_path / "m", tmp_path / "p.safetensors")
        assert not (tmp_path / "p.safetensors").exists()

    sizes = dict(vocab=7, emb=4, hidden=8, layers=2)
    refuse(SHARNN(Config(**sizes, semantics=PAPER)), ConfigError, "is not a model of SHA-RNN.jl's")
    refuse(SHARNN(Config(**sizes, attention_layers=(0, 1))), ConfigError, "attention in the second to last block alone")
    refuse(Baseline(BaselineConfig(vocab=7, emb=4, hidden=8)), ConfigError, "holds a baseline")
    refuse(SHARNN(Config(**sizes)).double(), WeightsError, r"torch\.float64; SHA-RNN\.jl's are float32")


def test_files_that_are_not_parameters(checkpoint, tmp_path):
    path = tmp_path / "p.safetensors"
    export_parameters(checkpoint, path)
    tensors, sizes = load_file(path), load_checkpoint(checkpoint).model.config
    config = dict(emb=6, hidden=12, vocab=7, nlayers=sizes.layers, npos=9, heads=2, tie=sizes.tied)
    good = {"format": FORMAT, "config": json.dumps(config), "vocabulary": "[]"}

    def refuse(tensors, metadata, error, words):
        save_file(tensors, path, metadata)
        with pytest.raises(error, match=words):
            import_parameters(path, tmp_path / "new")
        assert not (tmp_path / "new").exists()

    less = {name: tensor for name, tensor in tensors.items() if name != "encoder.w"}
    refuse(less, good, WeightsError, r"encoder\.w is missing, expected with shape \(7, 6\)")
    refuse({**tensors, "x": torch.zeros(2)}, good, WeightsError, r"x \(2,\) is not a tensor of this model")
    refuse({**tensors, "encoder.w": torch.zeros(7, 6).double()}, good, WeightsError, "are float32")
    refuse(tensors, {**good, "format": "else"}, CheckpointError, "not one of SHA-RNN.jl's parameters")
    refuse(tensors, {"format": FORMAT}, CheckpointError, "no readable 'config'")
    refuse(tensors, {**good, "config": "{}"}, ConfigError, "has no emb, heads, hidden")
    refuse(tensors, {**good, "vocabulary": "[1]"}, CheckpointError, "something other than strings")
    refuse(tensors, {**good, "vocabulary": "{}"}, CheckpointError, "'vocabulary' is not a JSON list")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="cannot be read"):
        import_parameters(path, tmp_path / "new")


def test_a_jld2_without_its_packages_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.delenv("SHARNN_KNET_PROJECT", raising=False)
    with pytest.raises(CheckpointError, match="there is no file"):
        import_parameters(tmp_path / "model.jld2", tmp_path / "new")
    (tmp_path / "model.jld2").write_bytes(b"HDF5")
    with pytest.raises(CheckpointError) as caught:
        import_parameters(tmp_path / "model.jld2", tmp_path / "new")
    assert f"julia --project=PROJECT {SCRIPT} CHECKOUT {tmp_path / 'model.jld2'} model.safetensors" in str(caught.value)
    assert SCRIPT.is_file()


def test_a_jld2_with_its_packages_is_converted_by_the_users_julia(checkpoint, tmp_path, monkeypatch):
    """A stand-in for the user's julia copies its last argument's content from where the test put it."""
    export_parameters(checkpoint, tmp_path / "prepared.safetensors")
    julia = tmp_path / "bin" / "julia"
    julia.parent.mkdir()
    julia.write_text(f'#!/bin/sh\n[ "$4" = "{tmp_path}/model.jld2" ] && cp {tmp_path}/prepared.safetensors "$5"\n')
    julia.chmod(0o755)
    monkeypatch.setenv("SHARNN_KNET_PROJECT", "P")
    monkeypatch.setenv("SHARNN_JL_PATH", "C")
    monkeypatch.setenv("PATH", f"{julia.parent}:/usr/bin:/bin")
    (tmp_path / "model.jld2").write_bytes(b"HDF5")
    import_parameters(tmp_path / "model.jld2", tmp_path / "new")
    same(checkpoint, tmp_path / "new")
