"""How many sequences fit: what is printed is what engines really hold."""

import gc
import json
from itertools import pairwise

import numpy as np
import onnx
import pytest

from export import Engine
from export.capacity import BESIDE, GB, KEPT, SHARE, measure
from export.serving.segment_state import SegmentState


def nbytes(values):
    return sum(value.numpy().nbytes for value in {id(value): value for value in values}.values())


@pytest.fixture
def at_most(exported):
    """The last of what was measured: with rings of the export's own size."""
    return measure(exported).each[-1]


def test_the_seats_are_those_of_real_engines(exported, at_most):
    taken = []
    for slots in (2, 7):
        engine = Engine.load(exported, slots=slots, threads=1)
        taken.append(nbytes(engine._seats._memory.values()))
        assert engine.held().seats == taken[-1]
    assert taken == [2 * at_most.seat, 7 * at_most.seat]


def test_a_sequence_that_reads_is_in_memory_twice_beside_its_seat(exported, at_most, config):
    engine = Engine.load(exported, slots=3, threads=1)
    before, reading = states(), []
    for _ in range(3):
        reading.append(engine.feed_in_parts(engine.open(), np.zeros(3, np.int64), 2))
        next(reading[-1])
    found = [state for key, state in states().items() if key not in before]
    assert [state.rows for state in found] == [0, 2] * 3
    row = config.emb * 4 * len(config.attention_layers)
    expected = sum(at_most.value - (at_most.rows - state.rows) * row for state in found)
    assert nbytes(value for state in found for value in state.values.values()) == expected


def states():
    return {id(found): found for found in gc.get_objects() if type(found) is SegmentState}


def test_a_value_has_the_rows_that_a_ring_has_room_for(exported, at_most, config):
    engine = Engine.load(exported, slots=2, threads=1)
    sequence = engine.open()
    engine.feed(sequence, np.zeros(config.max_memory, np.int64))
    while engine.state(sequence)[0][2].shape[0] < min(at_most.rows, config.max_memory):
        engine.feed(sequence, np.zeros(1, np.int64))
    assert engine.held().values == at_most.value


def test_the_weights_are_those_of_every_open_graph(exported):
    engine = Engine.load(exported, slots=2, threads=1)
    found = {}
    for graph in ("segment", "step"):
        external = (tensor for tensor in onnx.load(exported / f"{graph}.onnx").graph.initializer if tensor.raw_data)
        found[graph] = sum(len(tensor.raw_data) for tensor in external)
    a, b = engine.open(), engine.open()
    engine.feed(a, np.zeros(2, np.int64))
    # Beside weights of files, graphs have a few numbers of their own.
    assert engine.held().weights == pytest.approx(found["segment"], rel=0.02)
    engine.step({a: 2, b: 3})
    assert engine.held().weights == pytest.approx(sum(found.values()), rel=0.02)
    assert measure(exported, "cpu").weights == engine.held().weights


def test_cudnn_has_the_weights_of_the_lstms_again(exported, model):
    lstms = sum(p.numel() for name, p in model.named_parameters() if ".rnn." in name)
    assert measure(exported).weights - measure(exported, "cpu").weights == pytest.approx(4 * lstms, rel=0.02)


def test_buffers_of_steps_are_kept_for_a_few_sizes_only(exported, at_most):
    slots = KEPT + 6
    engine = Engine.load(exported, slots=slots, threads=1)
    sequences = [engine.open() for _ in range(slots)]
    engine.step(dict.fromkeys(sequences, 2))
    for n in (*range(1, slots + 1), 3, *range(slots, 0, -1)):
        engine.step(dict.fromkeys(sequences[:n], 2))
    assert len(engine._seats._steps) == KEPT
    assert 0 < engine.held().steps <= slots * at_most.steps


def test_what_fits_fits_and_one_more_does_not(exported):
    found = measure(exported)
    usable = (16 * GB - BESIDE["cuda"]) * (1 - SHARE)
    for each in found.each:
        for size in (each.stepping, each.reading):
            fit = found.fit(16 * GB, size)
            assert found.weights + fit * size <= usable < found.weights + (fit + 1) * size
    assert found.fit(BESIDE["cuda"], 1) == 0


def test_rings_of_every_size_are_measured_up_to_the_export_s(export_of, config):
    _, folder = export_of(config, {"capacity": 1500}, max_memory=3000)
    each = measure(folder).each
    assert [ring.rows for ring in each] == [512, 1024, 1500]
    row = config.emb * 4 * len(config.attention_layers)
    assert [b.seat - a.seat for a, b in pairwise(each)] == [512 * row, 476 * row]
    assert [b.value - a.value for a, b in pairwise(each)] == [512 * row, 476 * row]


def test_a_model_without_attention_has_no_rows(export_of, config):
    _, folder = export_of(config, attention_layers=())
    (each,) = measure(folder).each
    assert each.rows == 0
    assert each.seat == each.value == config.layers * 2 * config.emb * 4


def test_it_is_printed_and_written(sharnn, exported, tmp_path):
    file = tmp_path / "found.json"
    code, out, err = sharnn("onnx", "capacity", exported, "--memory", 2, "--memory", 1.5, "--json", file)
    assert (code, err) == (0, "")
    found, each = json.loads(file.read_text()), measure(exported).each[-1]
    assert [fit["gigabytes"] for fit in found["each"][-1]["fit"]] == [2, 1.5]
    for fit in found["each"][-1]["fit"]:
        for what in ("stepping", "reading"):
            assert fit[what] == measure(exported).fit(fit["gigabytes"] * GB, getattr(each, what))
            assert f"{fit[what]:,}" in out
    assert "assumed: 1,000 MB" in out


def test_what_is_no_export_is_said(sharnn, tmp_path):
    code, _, err = sharnn("onnx", "capacity", tmp_path)
    assert code == 3
    assert "is not an export" in err
    code, _, err = sharnn("onnx", "capacity", tmp_path, "--json", tmp_path / "none" / "file")
    assert code == 2
    assert "there is no folder" in err
