"""Random interleavings of all that can be done with several live sequences, on back ends that they switch between."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from parity.laws.machine import sequences_machine
from parity.laws.strategies import specs
from tests.laws.targets import MAKERS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("semantics", ["julia", "paper"])
def test_any_sequence_of_operations(semantics):
    machine = sequences_machine(MAKERS, specs(semantics))
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=15))
