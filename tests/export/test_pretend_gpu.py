"""onnxruntime's own CUDA partitioner, and the host's side of serving on a GPU, where there is none.

`pretend_cuda` makes the CUDA provider load. What a GPU computes is seen in test_gpu.py, on one.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from sharnn_py import JULIA, PAPER, Config
from tests.export.conftest import SIZES

pytestmark = pytest.mark.skipif(
    sys.platform != "linux",
    reason="the pretended CUDA is Linux's. test_placement.py compares the same graphs with the list of CUDA's kernels",
)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    from tests.export.pretend_cuda import build

    folder = tmp_path_factory.mktemp("cuda")
    build(folder)
    return folder


@pytest.fixture
def on_pretended(libraries):
    """Run a program in a process of its own, where there seems to be a GPU, and read the JSON that it prints."""

    def run(code, *arguments):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


PLACE = """
import json, sys
from pathlib import Path
from export.placement import place_graphs
print(json.dumps([
    [[node.graph, node.op, node.provider, node.why] for node in place_graphs(Path(folder), "cuda")]
    for folder in sys.argv[1:]
]))
"""
ATTENTION = [{}, dict(heads=1), dict(attention_layers=(0, 1, 2), tied=False, heads=4)]
KINDS = [
    (JULIA, {"precision": "float32"}, ATTENTION[0]), (PAPER, {"precision": "float16"}, ATTENTION[0]),
    (JULIA, {"precision": "float16"}, ATTENTION[1]), (PAPER, {"precision": "float32"}, ATTENTION[1]),
    (JULIA, {"precision": "float32"}, ATTENTION[2]), (PAPER, {"precision": "float16"}, ATTENTION[2]),
    (JULIA, {"precision": "float32", "weights": "int8"}, {}), (PAPER, {"precision": "float16", "weights": "int8"}, {}),
    (JULIA, {"precision": "float16", "weights": "int4"}, {}), (PAPER, {"precision": "float32", "weights": "int4"}, {}),
]  # fmt: skip
ONE = pytest.mark.parametrize("config", ["paper"], indirect=True)
"""One model: what is tried has nothing to do with its semantics."""


@pytest.mark.slow
def test_onnxruntime_puts_every_node_on_cuda(on_pretended, export_of, tmp_path):
    folders = []
    for number, (semantics, options, changes) in enumerate(KINDS):
        _, folder = export_of(Config(**SIZES, semantics=semantics), options, **changes)
        folders.append(shutil.move(folder, tmp_path / f"{number}"))
    for kind, placed in zip(KINDS, on_pretended(PLACE, *folders), strict=True):
        assert {(graph, provider, why) for graph, _, provider, why in placed} == {
            (graph, "cuda", "") for graph in ("segment", "step", "to_ring", "to_memory")
        }, kind
        assert {"LSTM", "ScatterND", "Softmax", "LayerNormalization"} <= {op for _, op, _, _ in placed}, kind


REFUSED = """
import json, sys
from pathlib import Path
from export import ProviderError
from export.serving.providers import open_session
try:
    open_session(Path(sys.argv[1]), "cuda")
except ProviderError as error:
    print(json.dumps(str(error)))
"""


@ONE
def test_onnxruntime_agrees_that_an_int8_step_would_fall_to_the_cpu(on_pretended, exported):
    said = on_pretended(REFUSED, exported / "step.int8.onnx")
    assert said.startswith(f"cuda cannot run {exported / 'step.int8.onnx'}: ")
    assert "fallback to CPU EP has been explicitly disabled" in said


KNOBS = """
import json, sys
import numpy as np
from onnxruntime import OrtValue
from export import ProviderError, Session
from sharnn_py import ConfigError

options = {"gpu_mem_limit": 1 << 30, "arena_extend_strategy": "kSameAsRequested", "use_tf32": True,
           "user_compute_stream": 4096}
session = Session.load(sys.argv[1], "cuda", device_id=1, provider_options=options)
opened = session._graphs.segment().get_provider_options()["CUDAExecutionProvider"]
session.prefill(np.array([[3], [4]]))
session.step(np.array([3]))
said = []
for wrong in ({"device_id": 2}, {"provider_options": {"memory": 1}}, {"provider_options": {"gpu_mem_limit": "much"}}):
    try:
        Session.load(sys.argv[1], "cuda", **wrong)
    except (ConfigError, ProviderError) as error:
        said.append(str(error))
print(json.dumps([opened, said]))
"""


@ONE
def test_a_device_and_options_of_onnxruntimes_own_reach_the_provider(on_pretended, exported):
    opened, said = on_pretended(KNOBS, exported)
    wanted = {"device_id": "1", "gpu_mem_limit": "1073741824", "arena_extend_strategy": "kSameAsRequested",
              "use_tf32": "1", "user_compute_stream": "4096", "has_user_compute_stream": "1"}  # fmt: skip
    assert {name: opened[name] for name in wanted} == wanted
    assert said[0] == "device_id is 2, and the driver finds 2 GPUs, numbered from 0: give at most 1"
    assert said[1].startswith("provider_options has memory = '1', and onnxruntime's cuda has no such option or")
    assert said[2].startswith(
        "provider_options has gpu_mem_limit = 'much', and onnxruntime's cuda has no such option or"
    )


LITTLE = """
import json, sys
import numpy as np
from export import ProviderError, Session

said = []
for limit in (1000, 4 << 20):
    try:
        session = Session.load(sys.argv[1], "cuda", provider_options={"gpu_mem_limit": limit})
        session.reset(8)
        session.prefill(np.zeros((4000, 8), int))
    except ProviderError as error:
        said.append(str(error))
print(json.dumps(said))
"""


@pytest.mark.slow
@ONE
def test_too_little_memory_is_said_in_a_sentence(on_pretended, exported):
    opening, running = on_pretended(LITTLE, exported)
    assert opening.startswith(f"cuda cannot run {exported / 'segment.onnx'}: ")
    assert running.startswith("cuda failed while it ran (")
    assert running.endswith(
        "); there is too little memory: feed fewer sequences or shorter segments, or raise gpu_mem_limit where "
        "provider_options sets one"
    )
    assert "\n" not in opening + running


SERVE = """
import ctypes, json, sys
import numpy as np
from export import Session

cuda = ctypes.CDLL("libcudart.so.13")
counts = []
session = Session.load(sys.argv[1], "cuda", cuda_graph=sys.argv[2] == "graph")
session.load_state(sys.argv[3])
session.save_state(sys.argv[3] + ".segment")
for fed in (session, session, session.fork(), session.fork()):
    assert fed.step(np.array([3, 4])).shape == (2, session.config.vocab)
    counts.append((cuda.pretended_recordings(), cuda.pretended_replays()))
session.save_state(sys.argv[3] + ".step")
assert session.prefill(np.array([[3, 4]] * 5)).shape == (5, 2, session.config.vocab)
print(json.dumps([session.provider, session.config.max_memory, counts]))
"""


@pytest.mark.parametrize("graph", ["graph", "plain"])
def test_state_stays_on_the_device_and_comes_back_whole(on_pretended, exported, tmp_path, graph):
    import numpy as np
    from safetensors.numpy import load_file

    from sharnn_py import TorchSession

    theirs = TorchSession.load(exported)
    theirs.reset(2)
    theirs.prefill(np.arange(8).reshape(4, 2))
    theirs.save_state(tmp_path / "state")
    provider, _, counts = on_pretended(SERVE, exported, graph, tmp_path / "state")
    assert provider == "cuda"
    before, after = load_file(tmp_path / "state"), load_file(tmp_path / "state.segment")
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    stepped = load_file(tmp_path / "state.step")
    for (
        name,
        array,
    ) in before.items():  # no kernel ran, so that h and c are as they were, and the rows before the step's
        if not name.startswith("layers"):
            continue
        kept = len(array) if name.endswith("memory") else None
        assert np.array_equal(stepped[name][:kept], array)
    if graph == "plain":
        assert counts == [[0, 0]] * 4
    else:  # recorded once, replayed to be compared and then step by step; forks beside it step without replaying
        assert [recordings for recordings, _ in counts] == [1] * 4
        replays = [replays for _, replays in counts]
        assert replays == [replays[0], replays[0] + 1, replays[0] + 1, replays[0] + 1]


THREADS = """
import ctypes, json, sys, threading
import numpy as np
from export import Session

cuda = ctypes.CDLL("libcudart.so.13")

def counts():
    return [cuda.pretended_launches(), cuda.pretended_recordings(), cuda.pretended_replays(), cuda.pretended_freed()]

def in_thread(call):
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()

def difference(before):
    return [after - count for after, count in zip(counts(), before)]

found = {}
session = Session.load(sys.argv[1], "cuda", cuda_graph=True)
session.prefill(np.array([[3]]))
session.step(np.array([3]))
before = counts()
session.step(np.array([3]))
found["here"] = difference(before)
before = counts()
for _ in range(3):
    in_thread(lambda: session.step(np.array([3])))
found["elsewhere"] = difference(before)
before = counts()
for _ in range(50):
    session.reset()
    session.prefill(np.array([[3]]))
    in_thread(lambda: session.step(np.array([3])))
found["resets"] = difference(before)[1:2]
before = counts()
forks = [session.fork() for _ in range(5)]
for fork in forks:
    in_thread(lambda: fork.step(np.array([3])))
session.score("ab", segment=1)
found["forks"] = difference(before)[1:]
for batch in (2, 3, 2):
    session.reset(batch)
    session.step(np.array([3] * batch))
found["batches"] = difference(before)[1]
del forks, fork
before = counts()
for batch in range(4, 21):
    session.reset(batch)
    session.step(np.array([3] * batch))
found["many"] = [difference(before)[1], difference(before)[3]]
before = counts()
del session
found["closed"] = difference(before)[3]
print(json.dumps(found))
"""


@pytest.mark.slow
@ONE
def test_cuda_graphs_are_recorded_once_for_their_sizes_and_serve_every_thread(on_pretended, exported):
    """A step of a thread that a graph was not recorded on used to run three times; and every reset recorded another."""
    found = on_pretended(THREADS, exported)
    launches, recordings, replays, _ = found["here"]
    assert (recordings, replays) == (0, 1)
    assert found["elsewhere"] == [3 * launches, 0, 3, 0]
    assert found["resets"] == [0]
    assert found["forks"] == [0, 0, 0]
    assert found["batches"] == 2
    assert found["many"] == [17, 16]
    assert found["closed"] == 4


ENGINE = """
import ctypes, json, sys
from export import Engine

cuda = ctypes.CDLL("libcudart.so.13")
engine = Engine.load(sys.argv[1], "cuda", slots=4, cuda_graph=sys.argv[2] == "graph")
found = []

def counted(call):
    before = [cuda.pretended_to_host(), cuda.pretended_recordings(), cuda.pretended_replays()]
    result = call()
    after = [cuda.pretended_to_host(), cuda.pretended_recordings(), cuda.pretended_replays()]
    found.append([now - then for then, now in zip(before, after)])
    return result

a, b, c = (counted(engine.open) for _ in range(3))
counted(lambda: engine.feed(a, [3, 4, 5]))
for due in ([a], [a], [b, a], [a, b, c], [c, b, a], [c], [a, c]):
    counted(lambda: engine.step(dict.fromkeys(due, 3)))
d = counted(lambda: engine.fork(a))
counted(lambda: engine.close(a))
counted(lambda: engine.step({b: 3, d: 4}))
print(json.dumps(found))
"""


def test_an_engine_copies_nothing_but_logits_to_the_host(on_pretended, exported):
    """Joining, forking and leaving included: seats are filled and left on the device."""
    found = on_pretended(ENGINE, exported, "plain")
    feeds, steps = [3], [4, 5, 6, 7, 8, 9, 10, 13]
    assert [to_host for to_host, _, _ in found] == [int(call in feeds + steps) for call in range(14)]
    assert all(counts == [0, 0] for _, *counts in found)


def test_an_engine_records_a_step_for_each_number_of_seats_and_size_of_ring(on_pretended, exported):
    found = on_pretended(ENGINE, exported, "graph")
    steps = [found[call] for call in (4, 5, 6, 7, 8, 9, 10, 13)]
    # For 1, 2 and 4 seats; c is in the third, and d takes the seat that a has left.
    assert [recordings for _, recordings, _ in steps] == [1, 0, 1, 1, 0, 0, 0, 0]
    assert [replays for _, recordings, replays in steps if not recordings] == [1] * 5
