"""On a GPU: every node there, the numbers within their bounds, CUDA graphs too.

Without one these skip, and test_placement.py, test_providers.py and test_cuda_graph.py check the same code.
"""

import numpy as np
import pytest

from export import ProviderError, Session
from export.check import check_export
from export.placement import place_graphs
from export.serving.providers import check_libraries


def missing():
    try:
        check_libraries("cuda")
    except ProviderError as reason:
        return str(reason)
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(params=["float32", "float16"])
def folder(export_of, config, request):
    return export_of(config, {"precision": request.param})[1]


def test_no_node_is_on_the_cpu(folder):
    assert {node.provider for node in place_graphs(folder, "cuda")} == {"cuda"}


def test_it_passes_its_check(folder):
    found = check_export(folder, "cuda")
    assert found.passed, found.summary()


def test_replayed_cuda_graphs_give_the_same_as_plain_runs(folder):
    plain, replayed = Session.load(folder, "cuda"), Session.load(folder, "cuda", cuda_graph=True)
    for session in (plain, replayed):
        session.prefill(np.array([[3], [4], [5]]))
    for token in range(20):
        np.testing.assert_array_equal(replayed.step(np.array([token])), plain.step(np.array([token])))


def test_forks_on_the_device_go_their_own_ways(folder):
    session = Session.load(folder, "cuda", cuda_graph=True)
    session.step(np.array([3]))
    fork = session.fork()
    ours = session.step(np.array([4]))
    fork.step(np.array([7]))
    session.reset()
    session.step(np.array([3]))
    np.testing.assert_array_equal(session.step(np.array([4])), ours)
