"""What `sharnn export --triton` writes, replaces, and leaves alone."""

import pytest

from export import ExportError
from export.triton.repository import write_repository


def test_it_writes_two_models_with_what_serving_needs(exported, tmp_path):
    models = write_repository(exported, tmp_path, "cuda")
    assert [model.name for model in models] == ["model", "model_text"]
    for model in models:
        assert "kind: KIND_GPU" in (model / "config.pbtxt").read_text()
        assert 'string_value: "cuda"' in (model / "config.pbtxt").read_text()
        assert (model / "1" / "model.py").exists()
        names = {file.name for file in (model / "1" / "exported").iterdir()}
        assert {"manifest.json", "step.onnx", "weights.safetensors"} <= names
        assert not names & {"model.safetensors", "golden.json"}


def test_it_replaces_its_own_models_and_leaves_others(exported, tmp_path):
    write_repository(exported, tmp_path)
    (tmp_path / "model" / "config.pbtxt").write_text("edited")
    (tmp_path / "other").mkdir()
    write_repository(exported, tmp_path)
    assert (tmp_path / "model" / "config.pbtxt").read_text() != "edited"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "model_text", "other"]


def test_it_replaces_nothing_else(exported, tmp_path):
    (tmp_path / "model_text").mkdir()
    with pytest.raises(ExportError, match="model_text exists and is not a model of an export"):
        write_repository(exported, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model_text"]


def test_names_that_triton_cannot_have_are_refused_before_anything_is_written(checkpoint, tmp_path, sharnn):
    code, _, err = sharnn("export", checkpoint, "-o", tmp_path / "a name", "--triton", tmp_path / "models")
    assert code == 3
    assert "Triton would have to call the model 'a name'" in err
    assert list(tmp_path.iterdir()) == []


def test_a_provider_goes_with_a_repository(checkpoint, tmp_path, sharnn):
    code, _, err = sharnn("export", checkpoint, "-o", tmp_path / "model", "--triton-provider", "cuda")
    assert code == 2
    assert "give both" in err
