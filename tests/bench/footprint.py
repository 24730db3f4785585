"""The memory of a process that serves an export folder, and of nothing else: measured in one of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OVERHEAD = 300.0
"""MB beyond weights and state that a serving process may take."""

_SERVE = """
import sys
import numpy as np
from export import Session

session = Session.load(sys.argv[1], threads=1)
draw = np.random.default_rng(0)
state = 0
for _ in range(5):
    session.prefill(draw.integers(session.config.vocab, size=(1024, 1)))
for _ in range(20):
    session.step(np.array([3]))
    state = sum(array.nbytes for layer in session.state() for array in layer)
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(int(resident.split()[1]) * 1024, state)
"""


def megabytes_to_serve(folder: Path) -> tuple[float, float]:
    """MB resident after a long prompt and some steps, and the MB allowed: weights once, the state, `OVERHEAD`."""
    done = subprocess.run([sys.executable, "-c", _SERVE, str(folder)], capture_output=True, text=True, check=True)
    resident, state = map(int, done.stdout.split())
    weights = (folder / "weights.safetensors").stat().st_size
    return resident / 1e6, (weights + state) / 1e6 + OVERHEAD
