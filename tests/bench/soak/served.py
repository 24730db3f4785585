"""`sharnn serve` in a process of its own, which is killed, drained and started again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

COMMAND = [sys.executable, "-c", "from sharnn_py.cli import main; main()", "serve"]
START_SECONDS, DRAIN_SECONDS = 120, 60


class Served:
    """A server, whose lives are counted. Clients ask where it is each time."""

    def __init__(self, folder: Path, state: Path, log: Path, slots: int, queue: int, prompt: int) -> None:
        options = {"--slots": slots, "--queue": queue, "--max-prompt-bytes": prompt, "--max-seconds": 60}
        words = [str(word) for option in options.items() for word in option]
        self._command = [*COMMAND, str(folder), "--port", "0", "--threads", "1", "--state", str(state), *words]
        self._log = log
        self._up = threading.Event()
        self.life, self.ending = 0, ""
        """Which life it is in, and how this one is being ended, if it is."""

    def start(self) -> None:
        """Begin a life."""
        with self._log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(self._command, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", self.said()[begin:])) or not _answers(found[0]):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {self.said()[begin:]}")
            time.sleep(0.05)
        self.url = found[0]
        self._sockets = 0
        self._sockets = self.connections()
        self.life += 1
        self.ending = ""
        self._up.set()

    def where(self) -> tuple[int, str]:
        """The life and the address, once there is one."""
        while not self._up.wait(1):
            pass
        return self.life, self.url

    def kill(self) -> None:
        """End it at once."""
        self._end("kill", signal.SIGKILL)

    def drain(self) -> str:
        """Let it end; what is wrong with how it did, if something is."""
        began = time.monotonic()
        code = self._end("drain", signal.SIGTERM)
        if code not in (-signal.SIGTERM, 128 + signal.SIGTERM):
            return f"after SIGTERM the server ended with {code}"
        took = time.monotonic() - began
        return f"after SIGTERM the server took {took:.0f} seconds" if took > DRAIN_SECONDS else ""

    def said(self) -> str:
        """What it wrote, in all its lives."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def memory(self) -> int:
        """Resident bytes."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())
        assert found is not None
        return 1024 * int(found[1])

    def open_files(self) -> int:
        """How many files it has open, connections not among them: how many there are is its clients' doing."""
        return sum(not name.startswith("socket:") for name in self._open())

    def connections(self) -> int:
        """How many connections it has, beside the sockets that it began this life with."""
        return sum(name.startswith("socket:") for name in self._open()) - self._sockets

    def _open(self) -> list[str]:
        folder, found = f"/proc/{self._process.pid}/fd", []
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.append(os.readlink(f"{folder}/{name}"))
        return found

    def _end(self, how: str, number: int) -> int:
        self._up.clear()
        self.ending = how
        self._process.send_signal(number)
        try:
            return self._process.wait(2 * DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
