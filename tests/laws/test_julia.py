"""The laws on live Julia: the reference statement, and SHA-RNN.jl itself where there is a checkout."""

import dataclasses
import os

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from parity.laws import LawSuite, SHARNNTarget, Spec, record_case, sequences_machine, specs
from parity.laws.backends import JuliaBackend
from parity.recording.library import discover
from parity.sharnn.suite import run_case
from sharnn_py import JULIA, PAPER, Config, ConfigError
from tests.laws.targets import MAKERS


@pytest.fixture(params=["reference", "upstream"])
def make(request, worker):
    if request.param == "upstream" and not os.environ.get("SHARNN_JL_PATH"):
        pytest.skip("SHARNN_JL_PATH names no checkout of SHA-RNN.jl")
    return lambda spec: JuliaBackend(spec.config, spec.parameters(), worker, request.param)


def julia(request):
    return SHARNNTarget(request.getfixturevalue("make"), semantics="julia", any_attention=False, any_semantics=False)


JULIA_TARGETS = {"julia": julia}


@pytest.mark.usefixtures("make")
class TestJulia(LawSuite):
    targets = JULIA_TARGETS


def test_any_sequence_of_operations_with_julia_among_the_back_ends(make):
    machine = sequences_machine({**MAKERS, "julia": make}, specs("julia", any_attention=False))
    run_state_machine_as_test(machine, settings=settings(stateful_step_count=15))


def test_a_case_becomes_a_recording_that_names_the_first_wrong_tensor(worker, tmp_path, monkeypatch):
    config = Config(vocab=7, emb=4, hidden=8, layers=3, max_memory=3, semantics=JULIA)
    segments = [np.array([[1, 2], [3, 4]]), np.array([[5, 6], [0, 1], [2, 2]])]
    record_case(tmp_path / "case.safetensors", Spec(config, 1), segments, worker)
    (recording,) = discover(tmp_path)
    assert run_case(recording).verdict == "agrees"
    monkeypatch.setattr("sharnn_py.model.rows_dropped", lambda *args: 0)
    result = run_case(recording)
    assert result.verdict == "diverges"
    assert result.first is not None
    assert result.first.name == "eval/2/mem_in.2.size"
    with pytest.raises(ConfigError, match="semantics are not julia's"):
        record_case(tmp_path / "x.safetensors", Spec(dataclasses.replace(config, semantics=PAPER), 1), segments, worker)
