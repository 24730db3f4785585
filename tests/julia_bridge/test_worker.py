"""The worker: what Julia is given, what it returns, and what is left when a call ends badly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from julia_bridge import JuliaError, JuliaInstallation, JuliaUnavailable, Worker, WorkerDied, WorkerTimeout
from sharnn_py.errors import ConfigError, InputError

PROBE = """
module Probe
const kept = []
identity(x) = x
kind(x) = string(typeof(x))
sizes(x) = size(x)
at(x, i, j, k) = x[i, j, k]
keep(x) = (push!(kept, x); nothing)
kept_first() = kept[1]
fail() = throw(ArgumentError("the probe was told to fail"))
function fail_aloud()
    try
        fail()
    catch problem
        @warn "seen" exception = (problem, catch_backtrace())
    end
    return nothing
end
results() = (view = view([1.0, 2.0, 3.0], 2:3), range = 1:3, symbol = :name, single = 1.5f0, words = ["a", "b"],
             transposed = [1 2 3; 4 5 6]', flags = [true, false])
spin() = while true end
spawn() = getpid(run(pipeline(`sleep 300`; stdout = stdout, stderr = stderr); wait = false))
nap(seconds) = (sleep(seconds); getpid())
quit() = exit(7)
end
"""


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("julia") / "probe.jl"
    path.write_text(PROBE)
    return path


@pytest.fixture(scope="session")
def julia(worker: Worker, probe: Path) -> Worker:
    worker.include(probe)
    return worker


@pytest.fixture(scope="module")
def doomed(installation: JuliaInstallation, probe: Path) -> Iterator[Worker]:
    """A worker whose process the tests end, each leaving it to the next to start another."""
    with Worker(timeout=20) as worker, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHON_JULIACALL_COMPILE", "min")
        worker.include(probe)
        patch.undo()
        yield worker


def kill(pid: int) -> None:
    """End a child with SIGKILL, and return when it is dead; its exit status is left for who started it."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def shared_memories() -> int:
    """How many pieces of the bridge's shared memory are mapped in this process, told apart by their inodes."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:sharnn" in line]
    return len({inode for _, _, _, _, inode, *_ in lines})


def wait_until(condition, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


# ---- values, to Julia and back


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_axes_are_reversed_and_no_element_moves(julia: Worker, dtype: str):
    x = np.arange(2 * 3 * 4, dtype=dtype).reshape(2, 3, 4)  # (T, B, H)
    assert julia.call("Probe.kind", x) == f"Array{{{dtype.capitalize()},3}}"
    assert julia.call("Probe.sizes", x) == (4, 3, 2)
    assert julia.call("Probe.at", x, 4, 1, 2) == x[1, 0, 3]


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
tensors = st.sampled_from(["float16", "float32", "float64", "int32", "int64", "bool"]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
values = st.recursive(
    scalars | tensors,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


def assert_same(got: object, want: object) -> None:
    assert type(got) is type(want)
    if isinstance(want, np.ndarray):
        assert (got.dtype, got.shape, got.tobytes()) == (want.dtype, want.shape, want.tobytes())
    elif isinstance(want, dict):
        assert got.keys() == want.keys()
        for key in want:
            assert_same(got[key], want[key])
    elif isinstance(want, list | tuple):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            assert_same(a, b)
    else:
        assert got == want


@given(value=values)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_comes_back_bit_for_bit(julia: Worker, value: object):
    assert_same(julia.call("Probe.identity", value), value)


def test_strided_arrays_arrive_as_they_read(julia: Worker):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1)[::2]
    np.testing.assert_array_equal(julia.call("Probe.identity", x), x)


def test_lazy_julia_values_come_back_collected(julia: Worker):
    results = julia.call("Probe.results")
    assert_same(results["view"], np.array([2.0, 3.0]))
    assert_same(results["range"], np.array([1, 2, 3]))
    assert_same(results["transposed"], np.array([[1, 2, 3], [4, 5, 6]]))
    assert (results["symbol"], results["single"], results["words"]) == ("name", 1.5, ["a", "b"])
    assert_same(results["flags"], np.array([True, False]))


def test_what_julia_keeps_is_not_changed_by_later_calls(julia: Worker):
    x = np.arange(5, dtype=np.float64)
    julia.call("Probe.keep", x)
    julia.call("Probe.identity", np.full(100, -1.0))
    np.testing.assert_array_equal(julia.call("Probe.kept_first"), x)


def test_results_are_the_callers_own(julia: Worker):
    first = julia.call("Probe.identity", np.zeros(1000))
    julia.call("Probe.identity", np.ones(1000))
    assert not first.any()
    first += 1  # writable


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"a": [1, {2, 3}]}, r"the value\[2\]\[0\]\['a'\]\[1\] is a builtins.set"),
        (np.zeros(2, np.complex64), "numpy array of complex64"),
        (np.zeros(2, ">f4"), "numpy array of >f4"),
        (2**63, "no Int64 holds"),
        ({1: 2}, "has the key 1"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_its_place(julia: Worker, value: object, complaint: str):
    with pytest.raises(InputError, match=complaint):
        julia.call("Probe.identity", value)


@pytest.mark.parametrize(
    ("timeout", "isolation"), [(0, "process"), (np.nan, "process"), (np.inf, "process"), (1, "thread")]
)
def test_settings_that_make_no_sense(timeout: float, isolation: str):
    with pytest.raises(ConfigError):
        Worker(timeout, isolation)


# ---- exceptions


def test_an_exception_carries_julias_message_and_the_worker_continues(julia: Worker):
    pid = julia.pid
    for _ in range(3):
        with pytest.raises(JuliaError, match=r"^ArgumentError: the probe was told to fail\n  at fail \(.*:\d+\)$"):
            julia.call("Probe.fail")
    with pytest.raises(JuliaError, match=r"UndefVarError.*nowhere"):
        julia.call("Probe.nowhere")
    with pytest.raises(JuliaError, match="does not go to Python"):
        julia.call("Ref", 1)
    assert julia.pid == pid


PACKAGE = """
module Scaled

export forward

inner(x, factor) = factor > 0 ? x .* factor : throw(DomainError(factor, "scale by more than 0"))
forward(x; factor = 1, mask = trues(size(x))) = inner(x, factor) .* mask

end
"""


@pytest.mark.usefixtures("interpreted")
def test_a_package_with_a_project_of_its_own(installation: JuliaInstallation, tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Scaled.jl").write_text(PACKAGE)
    (tmp_path / "Project.toml").write_text('name = "Scaled"\nuuid = "7b9f9c3a-64a5-4e0e-8d3e-0a5d6b1f2c11"\n')
    x, mask = np.arange(6, dtype=np.float16).reshape(2, 3), np.array([[True, False, True]] * 2)
    with Worker(timeout=120, project=tmp_path) as julia:
        julia.load("Scaled")
        for _ in range(2):
            found = julia.call("Scaled.forward", x, factor=2, mask=mask)
            assert_same(found, x * np.float16(2) * mask)
            with pytest.raises(
                JuliaError, match=r"DomainError(.|\n)*\n  at inner \(.*Scaled\.jl:6\)\n  at .*Scaled\.jl:7\)"
            ):
                julia.call("Scaled.forward", x, factor=-1)
            kill(julia.pid)
        with pytest.raises(JuliaError, match="Nowhere"):
            julia.load("Nowhere")
    with pytest.raises(InputError, match="no Julia project"):
        Worker(project=tmp_path / "src")


def test_a_file_that_does_not_load_is_named(julia: Worker, tmp_path: Path):
    with pytest.raises(InputError, match="no Julia file"):
        julia.include(tmp_path / "missing.jl")
    broken = tmp_path / "broken.jl"
    broken.write_text("1 +* 2")
    with pytest.raises(JuliaError, match=r"broken\.jl"):
        julia.include(broken)


def test_what_julia_prints_is_passed_on_without_llvms_noise(julia: Worker, capfd: pytest.CaptureFixture[str]):
    julia.call("Probe.fail_aloud")
    printed = ""

    def seen() -> bool:
        nonlocal printed
        printed += capfd.readouterr().err
        return "fail()" in printed

    wait_until(seen)
    assert "seen" in printed
    assert "decoding address ranges" not in printed


# ---- what it costs


def test_a_thousand_calls_do_not_grow_it(julia: Worker):
    def resident(pid: int | str) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(pid: int | str) -> int:
        return len(os.listdir(f"/proc/{pid}/fd"))

    x = np.zeros(25_000, np.float32)  # 100 kB: a thousand of them kept would be 100 MB
    for _ in range(500):
        julia.call("Probe.identity", x)
    before = [(resident(pid), descriptors(pid)) for pid in ("self", julia.pid)]
    for _ in range(1000):
        julia.call("Probe.identity", x)
    after = [(resident(pid), descriptors(pid)) for pid in ("self", julia.pid)]
    for (memory, files), (memory_then, files_then) in zip(after, before, strict=True):
        assert memory - memory_then < 20e6
        assert files == files_then


def test_the_child_never_loads_torch(julia: Worker):
    import torch  # noqa: F401

    assert "libtorch" not in Path(f"/proc/{julia.pid}/maps").read_text()


def test_a_terminals_signals_do_not_reach_the_child(julia: Worker):
    assert os.getsid(julia.pid) != os.getsid(0)


# ---- calls that end badly


@pytest.mark.usefixtures("interpreted")
def test_a_killed_child_is_named_and_replaced(doomed: Worker):
    doomed.call("Probe.identity", 0)
    pid = doomed.pid
    shared = shared_memories()
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerDied, match=r"ended by SIGKILL during call of Probe\.spin"):
        doomed.call("Probe.spin")
    assert doomed.pid is None
    assert gone(pid)
    assert shared_memories() == shared - 2  # for requests and for answers; they have no name that could stay
    assert doomed.call("Probe.identity", 1) == 1  # a new process, with the probe included again
    assert doomed.pid != pid


@pytest.mark.usefixtures("interpreted")
def test_a_child_killed_between_calls_is_replaced_unseen(doomed: Worker):
    doomed.call("Probe.identity", 0)
    kill(doomed.pid)
    assert doomed.call("Probe.identity", 1) == 1


@pytest.mark.usefixtures("interpreted")
def test_julia_that_exits_is_said_to_have_ended(doomed: Worker):
    with pytest.raises(WorkerDied, match=r"ended with status 7 during call of Probe\.quit"):
        doomed.call("Probe.quit")


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
def test_a_call_past_its_time_limit_costs_the_child_only(
    doomed: Worker, monkeypatch: pytest.MonkeyPatch, stopped: bool
):
    doomed.call("Probe.identity", 0)
    pid = doomed.pid
    monkeypatch.setattr(doomed, "_timeout", 1.0)
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"had not finished call of Probe\.spin after 1 s"):
        doomed.call("Probe.spin")
    assert time.monotonic() - start < 3
    assert gone(pid)


@pytest.mark.usefixtures("interpreted")
def test_closing_leaves_nothing_and_a_closed_worker_starts_again(doomed: Worker):
    grandchild = doomed.call("Probe.spawn")
    pid, threads, files = doomed.pid, threading.active_count(), len(os.listdir("/proc/self/fd"))
    doomed.close()
    assert gone(pid)
    wait_until(lambda: gone(grandchild))
    assert threading.active_count() == threads - 1
    assert (
        len(os.listdir("/proc/self/fd")) == files - 7
    )  # socket, pipe to live by, output; two memories, each also open in its mapping
    assert doomed.call("Probe.identity", 1) == 1


@pytest.mark.usefixtures("interpreted")
def test_workers_run_side_by_side(julia: Worker, doomed: Worker):
    julia.call("Probe.nap", 0)
    doomed.call("Probe.nap", 0)
    start = time.monotonic()
    with ThreadPoolExecutor() as pool:
        pids = list(pool.map(lambda worker: worker.call("Probe.nap", 2), (julia, doomed)))
    assert time.monotonic() - start < 3
    assert pids == [julia.pid, doomed.pid]
    assert pids[0] != pids[1]


@pytest.mark.usefixtures("interpreted")
def test_a_collected_worker_leaves_no_process(installation: JuliaInstallation):
    worker = Worker()
    assert worker.versions.keys() == {"julia", "juliacall", "PythonCall"}
    pid = worker.pid
    del worker
    wait_until(lambda: gone(pid))


# ---- seen from another process: signals, and what importing does


def start_script(script: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def run_script(script: str, **environment: str) -> str:
    process = start_script(script, **environment)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


SPIN = """
    import os, signal, time
    from julia_bridge import Worker
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a program begun in the background ignores
    with Worker(timeout=100) as julia:
        julia.include({probe!r})
        julia.call("Probe.identity", 0)
        pid = julia.pid
        print(pid, flush=True)
        try:
            julia.call("Probe.spin")
        except KeyboardInterrupt:
            print("interrupted", os.path.exists(f"/proc/{{pid}}"), julia.call("Probe.identity", 5), flush=True)
        pid = julia.pid
        try:
            time.sleep(100)
        except KeyboardInterrupt:
            print("idle", julia.call("Probe.identity", 6), julia.pid == pid)
"""


@pytest.mark.usefixtures("interpreted")
def test_ctrl_c_ends_a_call_and_nothing_else(installation: JuliaInstallation, probe: Path):
    script = start_script(SPIN.format(probe=str(probe)))
    told = []
    for _ in range(2):
        told.append(script.stdout.readline())
        time.sleep(0.5)
        os.killpg(script.pid, signal.SIGINT)  # as a terminal does it
    out, err = script.communicate(timeout=60)
    assert (told[1:], out, err) == (["interrupted False 5\n"], "idle 6 True\n", "")


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
def test_the_child_does_not_outlive_a_killed_parent(installation: JuliaInstallation, probe: Path, stopped: bool):
    script = start_script(SPIN.format(probe=str(probe)))
    child = int(script.stdout.readline())
    time.sleep(0.5)
    if stopped:
        os.kill(child, signal.SIGSTOP)
    script.kill()
    script.communicate()
    wait_until(lambda: gone(child))


@pytest.mark.usefixtures("interpreted")
def test_a_fork_has_a_julia_of_its_own(installation: JuliaInstallation):
    out = run_script(
        """
        import os
        from julia_bridge import Worker
        julia = Worker()
        julia.call("+", 1, 1)
        first = julia.pid
        if os.fork() == 0:
            print(julia.call("+", 1, 2), julia.pid != first, flush=True)
        else:
            os.wait()
            print(julia.call("+", 2, 2), julia.pid == first)
        """
    )
    assert out == "3 True\n4 True\n"


def test_importing_starts_nothing_and_imports_neither_torch_nor_juliacall():
    out = run_script(
        """
        import subprocess, sys
        def refuse(*arguments, **keywords): raise AssertionError("a process was started")
        subprocess.Popen = refuse
        import julia_bridge, julia_bridge.worker, julia_bridge.install.doctor, julia_bridge.cli
        print(sorted({"torch", "juliacall", "juliapkg"} & set(sys.modules)))
        """
    )
    assert out == "[]\n"


def test_one_module_alone_imports_juliacall():
    project = Path(__file__).parents[2]
    importers = [
        str(path.relative_to(project))
        for package in ("julia_bridge", "sharnn_py", "parity", "export")
        for path in (project / package).rglob("*.py")
        if any(
            line.strip().startswith(("import juliacall", "from juliacall")) for line in path.read_text().splitlines()
        )
    ]
    assert importers == ["julia_bridge/process/runtime.py"]


# ---- in the caller's own process

BESIDE_TORCH = """
    import numpy as np
    if {torch_first}: import torch
    from julia_bridge import JuliaError, Worker
    julia = Worker(isolation="none")
    julia.include({probe!r})
    import torch
    def torch_throws():
        try: torch.ones(2) @ torch.ones(3)
        except RuntimeError as problem: return "size" in str(problem)
    for _ in range(20):
        try: julia.call("Probe.fail")
        except JuliaError as problem: assert "told to fail" in str(problem)
        assert torch_throws()
        x = torch.rand(64, 64)
        np.testing.assert_array_equal(julia.call("Probe.identity", (x @ x).numpy()), (x @ x).numpy())
    print(julia.pid, julia.call("Probe.nap", 0) == __import__("os").getpid())
"""


@pytest.mark.parametrize("torch_first", [True, False])
def test_in_one_process_with_torch_in_both_orders(installation: JuliaInstallation, probe: Path, torch_first: bool):
    out = run_script(BESIDE_TORCH.format(probe=str(probe), torch_first=torch_first), **installation.environment)
    assert out == "None True\n"


def refusal_of(script_environment: dict[str, str]) -> str:
    return run_script(
        """
        from julia_bridge import JuliaUnavailable, Worker
        try: Worker(isolation="none")
        except JuliaUnavailable as reason: print(reason)
        """,
        **script_environment,
    )


def test_in_one_process_is_refused_beside_triton(installation: JuliaInstallation, tmp_path: Path):
    (tmp_path / "triton.py").touch()
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert "triton is installed" in refusal_of({**installation.environment, "PYTHONPATH": path})


def test_in_one_process_is_refused_without_julias_libraries(installation: JuliaInstallation):
    if "LD_LIBRARY_PATH" not in installation.environment:
        pytest.skip(f"the {installation.name} installation's Julia finds its own libraries")
    reason = refusal_of({"LD_LIBRARY_PATH": ""})
    assert f"LD_LIBRARY_PATH={installation.environment['LD_LIBRARY_PATH']}" in reason
    assert "depot" in refusal_of({**installation.environment, "JULIA_DEPOT_PATH": "/elsewhere"})


def test_in_one_process_is_refused_off_the_main_thread(installation: JuliaInstallation):
    with ThreadPoolExecutor() as pool, pytest.raises(JuliaUnavailable, match="main thread"):
        pool.submit(Worker, isolation="none").result()
