"""Julia in the caller's own process: the checks that make it safe, and the interface of a child process."""

import ctypes
import importlib.util
import os
import sys
import threading
from functools import cache
from typing import Any

from julia_bridge.errors import JuliaUnavailable
from julia_bridge.process import wire
from julia_bridge.process.installation import JuliaInstallation
from julia_bridge.process.runtime import Runtime
from julia_bridge.process.shared_memory import SharedMemory


class InProcess:
    """Julia in the process of everything else that runs here, torch included.

    What it costs: no time limit applies, Ctrl-C waits for Julia, and a crash of Julia is a crash of the process.
    Raises `JuliaUnavailable`, and says why, where that is known to be unsafe.
    """

    def __init__(self, installation: JuliaInstallation) -> None:
        if (reason := refusal(installation)) is not None:
            raise JuliaUnavailable(
                f'isolation="none" is not possible here: {reason} The default, isolation="process", is not affected.'
            )
        self._runtime = _start(installation)
        self.versions = self._runtime.versions
        self._request, self._answer = SharedMemory(), SharedMemory()

    def ask(self, request: object, timeout: float, doing: str) -> Any:
        """Julia's answer, `(True, result)` or `(False, message)`. `timeout` and `doing` are ignored."""
        _require_main_thread()
        message = wire.Message(request)
        with self._request.reserve(message.size) as memory:
            message.write(memory)
        size = self._runtime.run(self._request.address(message.size))
        self._runtime.write_answer(self._answer.address(size))
        with self._answer.reserve(size) as memory:
            return wire.read(memory)

    def end(self) -> None:
        """Give the memory back. Julia itself stays: a process can start it only once."""
        self._request.close()
        self._answer.close()


def refusal(installation: JuliaInstallation) -> str | None:
    """Why Julia should not be started in this process; None if nothing speaks against it."""
    if sys.platform != "linux":
        return f"the preloads that keep Julia and torch apart are known for Linux, and this is {sys.platform}."
    if threading.current_thread() is not threading.main_thread():
        return "Julia must be started from the main thread."
    if importlib.util.find_spec("triton") is not None:
        return "triton is installed, and its LLVM and Julia's crash each other once torch has loaded it."
    if "juliacall" in sys.modules:
        return None
    wanted = installation.environment.get("LD_LIBRARY_PATH", "")
    if not os.environ.get("LD_LIBRARY_PATH", "").startswith(wanted):
        return (
            "the system's loader reads LD_LIBRARY_PATH only when a process starts, and this one started without "
            f"Julia's libraries on it. Start Python again with\n    LD_LIBRARY_PATH={wanted}\n"
        )
    for name, value in installation.environment.items():
        if name != "LD_LIBRARY_PATH" and os.environ.get(name, value) != value:
            return f"{name} is set to {os.environ[name]!r}, and this installation of Julia needs {value!r}. Unset it."
    return None


def _require_main_thread() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise JuliaUnavailable('with isolation="none" Julia can be called from the main thread only.')


def _start(installation: JuliaInstallation) -> Runtime:
    if "juliacall" not in sys.modules:
        os.environ.update(installation.environment)
        sys.path[:0] = [str(path) for path in installation.python_path]
        # Without it torch's exceptions would be thrown through Julia's libunwind, and crash.
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)
    return _only_runtime()


@cache
def _only_runtime() -> Runtime:
    return Runtime()
