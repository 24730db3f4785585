"""The most memory that an update takes, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_RUN = """
import re, sys
import torch
from sharnn_py import SHARNN
from sharnn_py.fast import accelerated
from sharnn_py.trainer.recompute import recompute_blocks
from tests.bench.training import LAPTOP, fast_update, plain_update

def most():
    "kB resident at most since the process began; what getrusage says counts from the parent process's size."
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

torch.set_num_threads(1)
way, steps = sys.argv[1], int(sys.argv[2])
model = SHARNN(LAPTOP, torch.Generator().manual_seed(0))
if way != "plain":
    accelerated(model, "bf16" if way == "bf16" else "float32")
if way == "recompute":
    recompute_blocks(model)
make = plain_update if way == "plain" else fast_update
make(model, 1, 16)()  # what is needed once, whatever the segment
update = make(model, 16, steps)
before = most()
update()
update()
print(most() - before)
"""


def peak(way: str, steps: int) -> float:
    """Bytes beyond the model, its optimiser and its state that an update of 16 sequences takes.

    `way` is "plain", "float32", "bf16", or "recompute" for float32 with blocks that are computed once more.
    """
    done = subprocess.run([sys.executable, "-c", _RUN, way, str(steps)], capture_output=True, text=True, check=True)
    return 1024.0 * int(done.stdout)
