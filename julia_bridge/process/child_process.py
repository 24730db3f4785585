"""A child process with Julia in it, seen from the parent."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from typing import Any

from julia_bridge.errors import JuliaUnavailable, WorkerDied, WorkerTimeout
from julia_bridge.process import wire
from julia_bridge.process.child import SIZE
from julia_bridge.process.installation import JuliaInstallation
from julia_bridge.process.shared_memory import SharedMemory

START_LIMIT = 600.0
"""Seconds that Julia may take to start. The first start after an installation compiles PythonCall."""

HARMLESS = re.compile(r"error: decoding address ranges.*\n")
"""What the LLVM of Debian's Julia prints, even amid other lines, when a backtrace is looked up. It means nothing."""


class JuliaProcess:
    """One started child. `end` (or leaving a `with`) kills it and gives its memory back; nothing survives it.

    Raises `JuliaUnavailable` with what the child printed if Julia does not start. What Julia prints later, on stdout or
    stderr, goes to the parent's stderr as it comes.
    """

    def __init__(self, installation: JuliaInstallation) -> None:
        self._installation = installation
        self._owner = os.getpid()
        self._request, self._answer = SharedMemory(), SharedMemory()
        self._control, child_control = socket.socketpair()
        life, self._life = os.pipe()
        inherited = (child_control.fileno(), self._request.descriptor, self._answer.descriptor, life)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "julia_bridge.process.child", *map(str, inherited)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=installation.process_environment(),
                pass_fds=inherited,
                # Ctrl-C at a terminal is the parent's business; it ends the child itself.
                start_new_session=True,
            )
        finally:
            child_control.close()
            os.close(life)
        self._started = False
        self._printed: deque[str] = deque(maxlen=20)
        self._printer = threading.Thread(target=self._pass_on_output, daemon=True)
        self._printer.start()
        try:
            self.versions: dict[str, str] = self._read_versions()
        except BaseException:
            self.end()
            raise
        self._started = True

    def __enter__(self) -> JuliaProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child can take a request. A fork of the process that started it must start its own."""
        return self._owner == os.getpid() and self._life >= 0 and self._process.poll() is None

    def ask(self, request: object, timeout: float, doing: str) -> Any:
        """Julia's answer, `(True, result)` or `(False, message)`.

        `doing` names the request in errors. Raises `WorkerTimeout` after `timeout` seconds and `WorkerDied` if the
        child ends; in either case, and if this is interrupted, the child is gone afterwards.
        """
        message = wire.Message(request)
        with self._request.reserve(message.size) as memory:
            message.write(memory)
        try:
            self._control.settimeout(timeout)
            self._control.sendall(SIZE.pack(message.size))
            size = self._control.recv(SIZE.size, socket.MSG_WAITALL)
        except TimeoutError:
            self.end()
            raise WorkerTimeout(
                f"Julia had not finished {doing} after {timeout:g} s, and its process was ended. "
                "Give the worker a larger timeout if that is too soon; the next call starts a new process."
            ) from None
        except ConnectionError:
            size = b""
        except BaseException:
            self.end()
            raise
        if len(size) < SIZE.size:
            died = f"{self._obituary()} during {doing}"
            raise WorkerDied(f"{died}. The next call starts a new process.{self._last_words()}")
        with self._answer.reserve(*SIZE.unpack(size)) as memory:
            return wire.read(memory)

    def end(self) -> None:
        """Kill the child if it is alive, and release all that it took. Does nothing a second time, or in a fork."""
        if self._life < 0 or self._owner != os.getpid():
            return
        # The whole group: what Julia has started itself would outlive it, and hold its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._printer.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._control.close()
        self._request.close()
        self._answer.close()
        os.close(self._life)
        self._life = -1

    def _read_versions(self) -> dict[str, str]:
        self._control.settimeout(START_LIMIT)
        try:
            with self._control.makefile("rb") as lines:
                line = lines.readline()
        except TimeoutError:
            raise JuliaUnavailable(f"Julia had not started after {START_LIMIT:g} s.{self._last_words()}") from None
        if not line.endswith(b"\n"):
            reasons = [f"{self._obituary()}.", *self._installation.problems()]
            raise JuliaUnavailable(f"Julia did not start: {' '.join(reasons)}{self._last_words()}")
        return dict(json.loads(line))

    def _obituary(self) -> str:
        """End what is left of the child and say how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self.end()
        status = self._process.returncode
        if status < 0:
            return f"Julia's process was ended by {signal.Signals(-status).name}"
        return f"Julia's process ended with status {status}"

    def _last_words(self) -> str:
        return "\nThe last it printed:\n" + "".join(self._printed) if self._printed else ""

    def _pass_on_output(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = HARMLESS.sub("", line.decode(errors="replace"))
            self._printed.append(text)
            if self._started:
                sys.stderr.write(text)
