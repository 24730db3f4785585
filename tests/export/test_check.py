"""The check passes exports that are right and fails those that are not: in weights, graphs, host code and files."""

import math
import shutil

import numpy as np
import pytest
import torch

import export.check
import export.exporter
import export.serving.session
from export import ExportError
from export.check import (
    CHANCE,
    GRAPHS,
    MULTIPLE,
    QUANTITIES,
    CheckResult,
    Errors,
    Nearest,
    QuantityCheck,
    check_export,
    compare,
    opened,
    replays,
)
from export.fold import fold
from export.manifest import CHECKING, Manifest
from export.replicas import RUNS, truth_and_replicas
from export.serving import ring
from export.serving.mask import Segment
from sharnn_py import save_checkpoint
from sharnn_py.memory import most_keys_of_a_step
from tests.bench.export_check import random_model
from tests.export.conftest import trained_looking
from tests.export.edited_manifest import rehash

pytestmark = pytest.mark.slow


def wrong(found):
    return {(row.graph, row.what) for row in found.rows if not row.passed}


@pytest.fixture(scope="module")
def replayed(model):
    """PyTorch's results for the replays of the model that most exports here are of, computed once for all tests."""
    models = list(truth_and_replicas(model, torch.float32))
    return {stepwise: list(export.check.by_pytorch(models, stepwise)) for stepwise in GRAPHS}


def compared(folder, replayed):
    return compare({"": opened(folder)}, torch.float32, replayed)


def test_an_export_passes_and_everything_was_compared(exported):
    found = check_export(exported)
    assert found.passed
    assert [(row.graph, row.what) for row in found.rows] == [
        (graph, what) for graph in ("segment", "step", "step.int8") for what in QUANTITIES
    ]
    assert all(row.compared > 500 for row in found.rows)
    assert "all within bounds" in found.summary()


def test_replays_reach_every_edge_of_the_memory():
    N = 6
    seen = {(replay.stepwise, replay.batch > 1, replay.rows) for replay in replays(N)}
    assert {(False, False, 0), (False, True, N - 4), (True, True, N - 4)} <= seen
    lengths = {steps for replay in replays(N) for steps in replay.segments}
    assert {1, N, N + 3} <= lengths
    assert all(sum(r.segments) + r.rows > N for r in replays(N) if r.rows == N - 4)


@pytest.mark.parametrize("capacity", [1, 3, 6])
def test_an_export_with_a_small_ring_passes_and_what_it_cannot_do_is_said(export_of, config, monkeypatch, capacity):
    done = []
    monkeypatch.setattr(export.exporter, "check_export", lambda *given: done.append(check_export(*given)) or done[0])
    options = {"capacity": capacity, "check": True, "int8": True}
    model, folder = export_of(config, options, layers=1, attention_layers=(0,))
    (found,) = done
    assert found.passed
    assert {row.graph for row in found.rows} == {"segment", "step", "step.int8"}
    assert Manifest.load(folder).check["left_out"] == found.left_out
    if capacity < most_keys_of_a_step(model.config):
        assert f"more than the {capacity} rows of this export's ring were not replayed" in found.summary()
    else:
        assert found.left_out == []


@pytest.mark.parametrize("slots", range(1, 20))
def test_replays_fit_a_ring_of_any_size_and_fill_it(slots):
    full = 0
    for replay in replays(25, slots):
        held = replay.rows
        for steps in replay.segments if replay.stepwise else ():
            assert steps > 1 or held < slots
            held += steps
            full += held == slots
        assert not replay.stepwise or 1 in replay.segments
    assert full


@pytest.mark.parametrize(("precision", "seed"), [("float32", 0), ("float16", 1)])
def test_models_of_other_seeds_pass(export_of, config, monkeypatch, precision, seed):
    from tests.export import conftest

    monkeypatch.setattr(conftest, "trained_looking", lambda config: trained_looking(config, 100 + seed))
    _, folder = export_of(config, {"precision": precision})
    found = check_export(folder)
    assert found.passed, found.summary()


@pytest.mark.parametrize("seed", [310, 384])
def test_a_model_whose_gates_are_all_but_shut_passes(tmp_path, seed):
    """What onnxruntime's sigmoid leaves of them is off by more than nudged parameters show."""
    save_checkpoint(random_model(seed), tmp_path / "checkpoint")
    export.exporter.export_checkpoint(tmp_path / "checkpoint", tmp_path / "export")
    found = check_export(tmp_path / "export")
    assert found.passed, found.summary()


KINDS = [
    "encoder.weight", "decoder.bias", "blocks.1.rnn.W", "blocks.1.rnn.R", "blocks.1.rnn.B", "blocks.0.lnstart.weight",
    "blocks.0.lnmem.weight", "blocks.0.lnmem.bias", "blocks.2.lnmid.weight", "blocks.2.attn.q.weight",
    "blocks.2.attn.q.bias", "blocks.0.attn.qln.weight", "blocks.0.attn.qln.bias", "blocks.0.attn.gain",
    "blocks.1.lnff.bias", "blocks.1.lnxff.weight", "blocks.1.boom.weight", "blocks.1.boom.bias",
]  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_any_weight_that_is_a_little_wrong_is_seen(export_of, config, replayed, monkeypatch, name):
    """Wrong by a five-hundredth: far above what rounding does, far below what a reader would notice."""

    def faulty(parameters, config):
        folded = fold(parameters, config)
        if name in folded:
            folded[name] = folded[name] * 1.002
        return folded

    monkeypatch.setattr(export.exporter, "fold", faulty)
    if name == "decoder.bias" and not config.decoder_bias:
        pytest.skip("a model of these semantics has no decoder bias")
    _, folder = export_of(config)
    assert wrong(compared(folder, replayed))


@pytest.mark.parametrize("fault", ["mask too narrow", "mask too wide", "not carried", "ring never wraps", "stale slot"])
def test_a_host_that_breaks_a_rule_is_seen(exported, replayed, monkeypatch, fault):
    original = Segment.mask

    def narrow(segment, at, steps):
        mask = original(segment, at, steps)
        if segment.rows:
            mask[:, np.argmax(np.isfinite(mask[0]))] = -np.inf
        return mask

    def wide(segment, at, steps):
        mask = original(segment, at, steps)
        return np.where(np.arange(mask.shape[1]) <= segment.rows + np.arange(steps)[:, None], 0, mask).astype("f4")

    def one_late(slots):
        """The newest row in the slot that is written next."""
        return np.arange(slots.next - slots.held + 1, slots.next + 1) % slots.capacity

    if fault == "mask too narrow":
        monkeypatch.setattr(Segment, "mask", narrow)
    elif fault == "mask too wide":
        monkeypatch.setattr(Segment, "mask", wide)
    elif fault == "not carried":
        monkeypatch.setattr(
            export.serving.session.Session, "_carried", lambda self: self.reset(self.batch) or self._state
        )
    elif fault == "ring never wraps":
        monkeypatch.setattr(ring.Slots, "advance", lambda self: setattr(self, "held", min(self.held + 1, 99)))
    else:
        monkeypatch.setattr(ring.Slots, "oldest_first", one_late)
    assert wrong(compared(exported, replayed))


def test_what_is_computed_once_passes_what_is_right(exported, replayed):
    """The numbers are those of the whole check, so what fails in the tests above fails for what is wrong there."""
    found = compared(exported, replayed)
    assert found.passed
    assert found.rows == [row for row in check_export(exported).rows if row.graph != "step.int8"]


def test_nan_never_passes():
    errors = Errors()
    errors.add(np.array([0.0, np.nan, 1.0]), np.zeros(3))
    assert math.isnan(errors.rms)
    assert math.isnan(errors.largest)
    assert not QuantityCheck("step", "h", 3, errors.rms, errors.largest, 1.0, 1.0).passed
    assert not QuantityCheck("step", "h", 3, 0.1, math.nan, 1.0, 1.0).passed


def test_the_tensor_that_is_nearest_to_what_is_allowed_decides_and_nan_is_nearest():
    unit, near = 2.0**-23, Nearest()

    def add(distance, rounding):
        near.add(
            Errors(distance**2, distance, 1), Errors(rounding**2, rounding, 1), Errors(1e-9, 1e-9, 1), unit, small=False
        )

    add(1.0, 1.0)
    add(0.5, 0.01)
    add(2.0, 1.0)
    assert near.rms == near.largest == (0.5, pytest.approx(0.01 * MULTIPLE * CHANCE))
    assert near.compared == 3
    add(math.nan, 1.0)
    add(math.inf, 1.0)
    assert math.isnan(near.rms[0])
    assert math.isnan(near.largest[0])


def test_another_run_is_beyond_the_bound_as_rarely_as_students_t_says():
    """Numbers moved along few directions, in 16 runs and one more: at most 1 in 1,000 are beyond t's bound of 4.015."""
    draw = np.random.default_rng(0)
    beyond = {}
    for sizes in ([1], [1, 0.1], [1, 1], [1] + [0.1] * 8, [1] * 12, [1] + [0.03] * 20):
        directions = draw.standard_normal((len(sizes), 30))
        runs = draw.standard_normal((20_000, 17, len(sizes))) * np.array(sizes) @ directions
        squares = np.square(runs)
        rounding = squares[:, 1:].mean(axis=1)
        rms = np.sqrt(squares[:, 0].mean(axis=1) / rounding.mean(axis=1))
        largest = np.sqrt(squares[:, 0].max(axis=1) / rounding.max(axis=1))
        beyond[tuple(sizes)] = max(np.mean(rms > 4.015), np.mean(largest > 4.015))
    assert max(beyond.values()) < 0.0017, beyond  # three standard deviations of 20 in 20,000
    assert beyond[1,] > 0.0004


def test_comparing_nothing_is_a_failure():
    assert not CheckResult().passed
    assert CheckResult().summary() == "nothing was compared"
    assert not CheckResult([QuantityCheck("step", "h", 0, 0.0, 0.0, 1.0, 1.0)]).passed


def test_the_bound_is_the_one_that_is_documented():
    assert (MULTIPLE, CHANCE, RUNS) == (2.0, 9, 16)


@pytest.fixture
def copied(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


@pytest.mark.parametrize("name", [
    "segment.onnx", "step.onnx", "step.int8.onnx", "weights.safetensors", "weights.int8.safetensors",
    "model.safetensors", "config.json", "vocabulary.json", "golden.json",
])  # fmt: skip
def test_a_tampered_file_is_refused_by_name(copied, name):
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(ExportError, match=rf"{name} is not the file that was exported \(sha256"):
        check_export(copied)
    (copied / name).unlink()
    with pytest.raises(ExportError, match=rf"{name} cannot be read \(No such file"):
        check_export(copied)


def test_weights_of_another_model_under_a_corrected_hash_are_found_by_comparing(copied, export_of, config, monkeypatch):
    from tests.export import conftest

    monkeypatch.setattr(conftest, "trained_looking", lambda config: trained_looking(config, 7))
    _, foreign = export_of(config)
    shutil.copyfile(foreign / "weights.safetensors", copied / "weights.safetensors")
    rehash(copied)
    found = check_export(copied)
    assert not found.passed
    assert {("segment", what) for what in QUANTITIES} <= wrong(found)
    assert "segment, logits: off by" in found.summary()


def test_a_model_of_another_config_is_refused(copied):
    path = copied / "config.json"
    path.write_text(path.read_text().replace('"max_memory": 6', '"max_memory": 5'))
    rehash(copied)
    with pytest.raises(ExportError, match="the manifest describe different models"):
        check_export(copied)


@pytest.mark.parametrize(("change", "message"), [
    (lambda text: text[:200], "is damaged"),
    (lambda text: text.replace("sharnn onnx 3", "sharnn onnx 9"), "has format 'sharnn onnx 9'"),
    (lambda text: text.replace("sharnn onnx 3", "sharnn onnx 1"), "has format 'sharnn onnx 1'.*export the model again"),
    (lambda text: text.replace('"capacity"', '"volume"'), "capacity, volume missing or unknown"),
    (lambda text: "[]", "has format None"),
])  # fmt: skip
def test_a_manifest_that_is_not_one_is_refused(copied, change, message):
    path = copied / "manifest.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ExportError, match=message):
        check_export(copied)


def test_what_serving_does_not_need_may_be_left_out_of_what_is_served(copied):
    manifest = Manifest.load(copied)
    for name in [name for name, entry in manifest.files.items() if entry["for"] == CHECKING]:
        (copied / name).unlink()
    export.serving.session.Session.load(copied).step(np.array([3]))
    with pytest.raises(ExportError, match=r"model\.safetensors cannot be read"):
        check_export(copied)


def test_most_keys_of_a_step_is_all_that_a_ring_ever_holds(exported):
    manifest = Manifest.load(exported)
    session = export.serving.session.Session.load(exported)
    assert manifest.capacity == most_keys_of_a_step(session.config) == manifest.rules["ring"]["most_keys"]
