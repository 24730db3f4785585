"""Writing an export folder: whole or not at all, and only over what is an export itself."""

import json
import shutil

import numpy as np
import pytest
import torch

import export.exporter
from export import ExportError, export_checkpoint
from export.manifest import Manifest
from sharnn_py import CheckpointError, ConfigError, save_checkpoint
from sharnn_py.memory import most_keys_of_a_step


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_holds_what_its_manifest_names_and_nothing_else(exported):
    manifest = Manifest.load(exported)
    assert files(exported) == sorted([*manifest.files, "manifest.json"])
    assert {entry["file"] for entry in manifest.graphs.values()} <= set(manifest.files)
    assert all((exported / name).stat().st_size == entry["bytes"] for name, entry in manifest.files.items())
    assert (exported.stat().st_mode & 0o777, exported.parent.stat().st_mode & 0o777)[0] == 0o755


def test_the_checkpoints_own_files_are_copied_as_they_are(checkpoint, exported):
    for name in ("config.json", "vocabulary.json", "model.safetensors"):
        assert (exported / name).read_bytes() == (checkpoint / name).read_bytes()


def test_the_same_checkpoint_gives_the_same_bytes(checkpoint, exported, tmp_path):
    export_checkpoint(checkpoint, tmp_path / "again", int8=True)
    assert all((tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes() for name in files(exported))


@pytest.mark.slow
def test_a_check_is_kept_in_the_manifest(checkpoint, tmp_path):
    assert export_checkpoint(checkpoint, tmp_path / "unchecked").check is None
    manifest = export_checkpoint(checkpoint, tmp_path / "checked", check=True)
    assert manifest == Manifest.load(tmp_path / "checked")
    assert {row["graph"] for row in manifest.check["rows"]} == {"segment", "step"}
    assert all(0 < row["rms"] <= row["allowed_rms"] for row in manifest.check["rows"])


@pytest.mark.parametrize(("capacity", "kept"), [(None, None), (3, 3), (10**6, None)])
def test_capacity_is_at_most_what_the_model_attends_to(checkpoint, config, tmp_path, capacity, kept):
    manifest = export_checkpoint(checkpoint, tmp_path / "e", capacity=capacity)
    assert manifest.capacity == (kept or most_keys_of_a_step(config))


def test_an_earlier_export_is_replaced_and_anything_else_is_not_touched(checkpoint, tmp_path):
    folder = tmp_path / "e"
    export_checkpoint(checkpoint, folder, int8=True)
    export_checkpoint(checkpoint, folder)
    assert "step.int8.onnx" not in files(folder)
    assert files(tmp_path) == ["e"]
    other = tmp_path / "holiday"
    other.mkdir()
    export_checkpoint(checkpoint, other)  # an empty folder is as good as none
    shutil.rmtree(other)
    other.mkdir()
    (other / "photo.jpg").write_bytes(b"...")
    for wrong in (other, other / "photo.jpg"):
        with pytest.raises(ExportError, match="exists and is not an export; choose another folder"):
            export_checkpoint(checkpoint, wrong)
    assert files(other) == ["photo.jpg"]


@pytest.mark.slow
@pytest.mark.parametrize("earlier", [False, True])
def test_a_failed_check_leaves_what_was_there(checkpoint, tmp_path, monkeypatch, earlier):
    folder = tmp_path / "e"
    before = export_checkpoint(checkpoint, folder) if earlier else None
    real = export.exporter.fold
    monkeypatch.setattr(export.exporter, "fold", lambda p, c: {n: w * 1.01 for n, w in real(p, c).items()})
    with pytest.raises(ExportError, match="does not compute what the model does, and was not written: segment, logits"):
        export_checkpoint(checkpoint, folder, check=True)
    assert files(tmp_path) == (["e"] if earlier else [])
    assert before is None or Manifest.load(folder) == before


def test_a_node_that_cuda_cannot_take_is_not_exported(checkpoint, tmp_path, monkeypatch):
    from export import cuda_kernels

    monkeypatch.delitem(cuda_kernels.KERNELS, "ScatterND")
    with pytest.raises(ExportError, match=r"CUDA could not take every node: ScatterND 'layers\.0\.ring\.next'"):
        export_checkpoint(checkpoint, tmp_path / "e")
    assert files(tmp_path) == []


@pytest.mark.parametrize(("options", "value"), [({}, np.inf), ({}, np.nan), ({"precision": "float16"}, 1e6)])
def test_weights_that_are_not_finite_in_the_exports_precision_are_refused(model, tmp_path, options, value):
    import copy

    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.blocks[1].lnff.bias[3] = value
    save_checkpoint(broken, tmp_path / "c")
    with pytest.raises(ExportError, match=r"blocks\.1\.lnff\.bias: not finite in the export's precision"):
        export_checkpoint(tmp_path / "c", tmp_path / "e", **options)
    assert files(tmp_path) == ["c"]


def test_what_cannot_be_exported_is_told(checkpoint, tmp_path):
    from sharnn_py import Baseline, BaselineConfig

    with pytest.raises(ConfigError, match="int8 goes with float32"):
        export_checkpoint(checkpoint, tmp_path / "e", precision="float16", int8=True)
    with pytest.raises(ConfigError, match="capacity is 0"):
        export_checkpoint(checkpoint, tmp_path / "e", capacity=0)
    with pytest.raises(CheckpointError):
        export_checkpoint(tmp_path, tmp_path / "e")
    save_checkpoint(Baseline(BaselineConfig(vocab=5, emb=4, hidden=6)), tmp_path / "baseline")
    with pytest.raises(ExportError, match="holds a baseline"):
        export_checkpoint(tmp_path / "baseline", tmp_path / "e")
    assert files(tmp_path) == ["baseline"]


def test_the_manifest_is_json_that_any_program_reads(exported):
    manifest = json.loads((exported / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert manifest["config"]["vocab"] == 29
    assert manifest["opset"] == 17


def test_the_manifest_has_the_identity_of_the_checkpoints_model_in_every_precision(config, export_of):
    from sharnn_py.identity import identity

    for precision in ("float32", "float16"):
        model, folder = export_of(config, {"precision": precision})
        assert Manifest.load(folder).model == identity(model.config, model.state_dict())
