"""What a result depends on besides what was compared: versions, settings, seeds."""

import platform
from importlib.metadata import version

import torch

from parity.tolerance import ROUNDED_RUNS


def environment() -> dict[str, str]:
    """Each of these, in words, by its name."""
    return {
        "sharnn": version("sharnn"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "safetensors": version("safetensors"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device of the subject": "cpu, one thread a case",
        "float32 kernels": "MKL" if torch.backends.mkl.is_available() else "no MKL",  # type: ignore[no-untyped-call]
        "rounding runs": f"{ROUNDED_RUNS} in float64, operations rounded at random, inputs nudged in the last place",
        "seeds of the nudges": f"SHA-256 of the run's number, 1 to {ROUNDED_RUNS}, and the tensor's or segment's name",
    }
