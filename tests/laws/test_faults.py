"""Every fault of the catalogue that breaks a law is found by that law."""

import pytest

from parity.sharnn.faults import FAULTS
from parity.sharnn.faults.plant import planted
from tests.laws.kill import kill

pytestmark = pytest.mark.slow

BROKEN = [
    pytest.param(fault, where, law, id=f"{fault.name}, {where}")
    for fault in FAULTS
    for where, law in fault.laws.items()
]


def test_there_are_faults_of_every_back_end():
    places = [where for fault in FAULTS for where in fault.laws]
    assert len(places) >= 56
    assert set(places) == {"torch", "onnx step", "onnx segment", "onnx either", "engine", "engine step", "julia"}


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "where", "law"), [case for case in BROKEN if case.values[1] != "julia"])
def test_a_fault_is_found(fault, where, law):
    assert_found(fault, where, law, None)


@pytest.mark.parametrize(("fault", "where", "law"), [case for case in BROKEN if case.values[1] == "julia"])
def test_a_fault_of_the_bridge_is_found(fault, where, law, worker):
    assert_found(fault, where, law, worker)


def assert_found(fault, where, law, worker):
    with planted(fault.change):
        found = kill(where, lambda: worker, law, shrink=False)
    assert found is not None, f"{fault.name} does not break {law} on {where}"
    assert found.case.startswith("Draw 1: ")
    assert found.message


def test_an_entry_that_names_another_law_fails_by_its_name():
    fault = next(fault for fault in FAULTS if fault.name == "c-saved-as-h")
    with pytest.raises(AssertionError, match="c-saved-as-h does not break"):
        assert_found(fault, "torch", "gradients_stop_at_the_border_of_a_segment", None)
