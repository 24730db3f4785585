"""A sample of the faults, one of each kind of place, is found; `python -m tests.laws` plants them all."""

import pytest

from tests.laws.faults import FAULTS
from tests.laws.kill import kill

SAMPLE = [
    "one_row_too_many_is_kept", "memory_is_normed_again_with_every_segment", "stale_h_with_fresh_c",
    "h_is_not_detached", "one_row_more_is_dropped", "reordering_leaves_the_memory",
    "the_ring_never_wraps", "a_ring_that_grows_forgets_its_oldest_row",
    "a_segment_after_steps_begins_from_the_segment_before", "a_fork_shares_its_buffers",
    "the_hosts_mask_is_one_too_narrow",
    "a_cast_is_lost_where_a_state_is_placed", "sequences_are_mixed_on_the_way_to_julia",
]  # fmt: skip


def test_there_are_faults_of_every_back_end():
    places = [where for where, _ in FAULTS.values()]
    assert len(FAULTS) >= 50
    assert set(places) == {FAULTS[name][0] for name in SAMPLE}
    assert set(places) == {"torch", "onnx step", "onnx segment", "onnx either", "julia"}
    assert all(plant.__name__.count("_") >= 2 for _, plant in FAULTS.values())


@pytest.mark.parametrize("name", SAMPLE)
def test_a_fault_is_found(name, monkeypatch, request):
    where, plant = FAULTS[name]
    worker = request.getfixturevalue("worker") if where == "julia" else None
    plant(monkeypatch)
    found = kill(where, lambda: worker)
    assert found is not None
    assert found.case.startswith("Draw 1: ")
    assert found.message
