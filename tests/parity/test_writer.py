"""A recording that is written tensor by tensor is a safetensors file like any other."""

import pickle

import pytest
import torch
from safetensors.torch import load_file

from parity import Recording, RecordingError, recording_of, save
from parity.errors import UsageError
from parity.recording.library import find
from parity.recording.writer import DTYPES, RecordingWriter

TENSORS = {
    "z/first": torch.arange(6.0).reshape(2, 3).mT,
    "a/scalar": torch.tensor(1.5, dtype=torch.float64),
    "m/empty": torch.zeros(0, 4, dtype=torch.int64),
    **{f"d/{dtype}": torch.ones(3, 1).to(dtype) for dtype in DTYPES},
}


def written(path):
    with RecordingWriter(path) as writer:
        for name, tensor in TENSORS.items():
            writer.add(name, tensor)
        writer.finish({"implementation": "mine"})
    return path


def test_it_is_read_by_safetensors_itself_bit_for_bit(tmp_path):
    read = load_file(written(tmp_path / "r.safetensors"))
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


@pytest.mark.parametrize("large", [0, 2**30])
def test_every_tensor_is_read_as_it_was_written_until_the_file_is_gone(tmp_path, monkeypatch, large):
    """Large ones and small ones, which are read in two ways."""
    monkeypatch.setattr("parity.recording.recording.LARGE", large)
    recording = Recording("r", written(tmp_path / "r.safetensors"))
    for name, tensor in recording.tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        assert torch.equal(tensor, TENSORS[name])
    recording.path.unlink()
    with pytest.raises(RecordingError, match="cannot be read any more"):
        recording.tensor("z/first")


def test_a_recording_lists_tensors_in_the_order_they_were_written(tmp_path):
    recording = Recording("r", written(tmp_path / "r.safetensors"))
    assert list(recording.tensors) == list(TENSORS)
    assert recording.metadata == {"implementation": "mine"}
    assert len(recording.provenance["sha256 of the file"]) == 64
    assert torch.equal(recording.tensor("z/first"), TENSORS["z/first"])


def half_way(path):
    with RecordingWriter(path) as writer:
        writer.add("a", torch.ones(3))
        assert not path.exists()
        raise ValueError("half way")


def test_nothing_appears_before_the_end_or_after_a_failure(tmp_path):
    with pytest.raises(ValueError, match="half way"):
        half_way(tmp_path / "r.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_name_twice_and_an_element_type_without_a_place(tmp_path):
    with RecordingWriter(tmp_path / "r.safetensors") as writer:
        writer.add("a", torch.ones(3))
        with pytest.raises(RecordingError, match="two tensors are named a"):
            writer.add("a", torch.ones(3))
        with pytest.raises(RecordingError, match="complex64"):
            writer.add("b", torch.ones(3, dtype=torch.complex64))


def test_save_wants_the_ending_and_returns_what_is_read(tmp_path):
    with pytest.raises(UsageError, match="ends in"):
        save(recording_of({"a": torch.ones(1)}), tmp_path / "r.bin")
    again = save(recording_of({"a": [1.0, 2.0]}, implementation="list"), tmp_path / "r.safetensors")
    assert torch.equal(again.tensor("a"), torch.tensor([1.0, 2.0]))
    assert again.metadata["implementation"] == "list"


def test_a_recording_goes_to_another_process_as_its_file_and_without_its_tensors():
    """multiprocessing passes every tensor in an open file of its own, of which a system has only so many."""
    recording = find("smerity/L1_h1_tied_b2")
    before = len(pickle.dumps(recording))
    assert len(recording.tensors) > 100
    sent = pickle.dumps(recording)
    assert len(sent) == before < 1000
    received = pickle.loads(sent)
    assert received == recording
    assert torch.equal(received.tensor("param/encoder.weight"), recording.tensor("param/encoder.weight"))
    in_memory = pickle.loads(pickle.dumps(recording_of({"input/1/0": torch.ones(2)})))
    assert torch.equal(in_memory.tensor("input/1/0"), torch.ones(2))
