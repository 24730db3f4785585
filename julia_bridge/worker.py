"""Calling Julia from Python, with Julia in a process of its own."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Any, Literal

from julia_bridge.errors import JuliaError
from julia_bridge.install.install import find
from julia_bridge.process.child_process import JuliaProcess
from julia_bridge.process.inprocess import InProcess
from sharnn_py.errors import ConfigError, InputError


class Worker:
    """A running Julia: load files with `include`, call what they define with `call`.

        with Worker(timeout=60) as julia:
            julia.include("model.jl")
            out = julia.call("Model.forward", {"w": weights, "layers": 2}, tokens)

    Julia runs in a child process that never imports torch. It starts with the first `include` or `call` (some 4 s), and
    ends with the `with` block, with `close`, when the worker is collected and when this process ends in whatever way.
    Several workers run side by side; calls to one from several threads wait for each other; in a fork of this process a
    worker starts a Julia of its own.

    **Values.** Arguments and results are None, bool, int (64 bits), float, str, list, tuple, dict with str keys and
    numpy arrays of float32, float64, int32 or int64 with any number of axes, of length 0 too, nested at will. In Julia
    they are nothing, Bool, Int64, Float64, String, Vector{Any}, Tuple, Dict{String,Any} and Array. In a result any
    AbstractDict or NamedTuple becomes a dict, any AbstractArray of the four element types an array, any other
    AbstractVector a list, Float32 a float, Symbol a str.

    **Layout.** A numpy array (T, B, H), row by row, is a Julia Array (H, B, T), column by column: the axes' order is
    reversed and no element moves.

    **Copies.** Four, each of the elements' bytes alone: an argument into shared memory here (also where it is not
    contiguous), and out of it into an Array of Julia's own; a result into shared memory in Julia (a view or other lazy
    array is collected first), and out of it into a numpy array of the caller's own. Nothing aliases: either side may
    keep and change what it has. The shared memory is kept for the next call, as large as the largest so far.

    **When it goes wrong.** An exception in Julia is a `JuliaError` with Julia's message, and the worker is as it
    was. A call that takes longer than `timeout` seconds, a process that is killed or crashes, and Ctrl-C here end the
    process: `WorkerTimeout`, `WorkerDied`, `KeyboardInterrupt`. The next call starts a new one and includes the same
    files again; what Julia's globals held besides is gone. The start itself is not counted in `timeout`.

    `isolation="none"` runs Julia in this process instead. Then `timeout` is ignored, a crash takes this process with
    it, Julia's globals are those of every such worker, and construction raises `JuliaUnavailable` where that is known
    to be unsafe, with the reason.
    """

    def __init__(self, timeout: float = 60, isolation: Literal["process", "none"] = "process") -> None:
        """`timeout` is in seconds, for each call.

        Raises `ConfigError` for a value other than those above, and `JuliaUnavailable` if Julia is not installed.
        """
        if not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ConfigError(f"timeout is {timeout!r}: give the seconds a call may take, more than 0 and finite.")
        if isolation not in ("process", "none"):
            raise ConfigError(f'isolation is {isolation!r}: give "process" or "none".')
        self._timeout = timeout
        self._installation = find()
        self._included: list[str] = []
        self._lock = threading.Lock()
        self._process: JuliaProcess | None = None
        self._in_process = InProcess(self._installation) if isolation == "none" else None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def include(self, path: str | Path) -> None:
        """Evaluate a Julia file in `Main`, now and whenever Julia has to be started again.

        Raises `InputError` if there is no such file, `JuliaError` if it throws, and what `call` raises.
        """
        file = Path(path).absolute()
        if not file.is_file():
            raise InputError(f"there is no Julia file {file}.")
        with self._lock:
            self._ask(("include", str(file)), f"include of {file.name}")
            if str(file) not in self._included:
                self._included.append(str(file))

    def call(self, function: str, *args: object) -> Any:
        """The result of a Julia function, named from `Main` ("sum", "Model.forward"), for these arguments.

        Raises `InputError` for an argument that has no counterpart in Julia, `JuliaError` with Julia's message if
        the function throws or returns what has none in Python, `WorkerTimeout`, `WorkerDied`, and `JuliaUnavailable` if
        Julia cannot be started.
        """
        with self._lock:
            return self._ask(("call", function, list(args)), f"call of {function}")

    @property
    def versions(self) -> dict[str, str]:
        """What runs: "julia", "juliacall", "PythonCall". Starts Julia if it does not run."""
        with self._lock:
            return dict(self._running().versions)

    @property
    def pid(self) -> int | None:
        """The Julia process, if there is one now."""
        return self._process.pid if self._process is not None and self._process.alive else None

    def close(self) -> None:
        """End Julia. A later call would start it again."""
        with self._lock:
            if self._process is not None:
                self._process.end()

    def _ask(self, request: object, doing: str) -> Any:
        good, result = self._running().ask(request, self._timeout, doing)
        if not good:
            raise JuliaError(result)
        return result

    def _running(self) -> JuliaProcess | InProcess:
        if self._in_process is not None:
            return self._in_process
        if self._process is None or not self._process.alive:
            if self._process is not None:
                self._process.end()
            self._process = JuliaProcess(self._installation)
            weakref.finalize(self, self._process.end)
            for path in self._included:
                self._ask(("include", path), f"include of {Path(path).name}")
        return self._process
