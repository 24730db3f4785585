"""The laws on live Julia: the reference statement, and SHA-RNN.jl itself where there is a checkout."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from parity.laws.backends import JuliaBackend
from parity.laws.laws import LAWS, Subject
from parity.laws.machine import sequences_machine
from parity.laws.strategies import specs
from tests.laws.subjects import MAKERS


@pytest.fixture(params=["reference", "upstream"])
def make(request, worker):
    if request.param == "upstream" and not os.environ.get("SHARNN_JL_PATH"):
        pytest.skip("SHARNN_JL_PATH names no checkout of SHA-RNN.jl")
    return lambda spec: JuliaBackend(spec.config, spec.parameters(), worker, request.param)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law(law, make):
    subject = Subject(make, "julia", any_attention=False, any_semantics=False)

    @given(st.data())
    def holds(data):
        law(subject, data.draw)

    holds()


def test_any_sequence_of_operations_with_julia_among_the_back_ends(make):
    machine = sequences_machine({**MAKERS, "julia": make}, specs("julia", any_attention=False))
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=15))
