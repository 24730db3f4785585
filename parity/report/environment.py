"""What a result depends on besides what was compared: versions, settings, seeds, providers, the Julia installation."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from parity.tolerance import ROUNDING_RUNS

SERVING = ("onnxruntime-gpu", "onnxruntime", "onnxruntime-openvino")
"""The distributions that onnxruntime comes in; one at most is installed."""


def environment() -> dict[str, str]:
    """All of it, in words."""
    return {
        "sharnn": version("sharnn"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "safetensors": version("safetensors"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device of the subject": "cpu, one thread a case",
        "float32 kernels": "MKL" if torch.backends.mkl.is_available() else "no MKL",  # type: ignore[no-untyped-call]
        "rounding runs": f"{ROUNDING_RUNS}: one plain, the others nudged in the last place",
        "seeds of the nudges": f"SHA-256 of the run's number, 1 to {ROUNDING_RUNS - 1}, and the tensor's name",
        "onnxruntime": _providers(),
        "Julia installation": _julia_installation(),
    }


def _providers() -> str:
    for name in SERVING:
        try:
            found = f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
        import onnxruntime

        return f"{found}; providers: {', '.join(onnxruntime.get_available_providers())}"
    return "not installed"


def _julia_installation() -> str:
    from julia_bridge import JuliaUnavailable
    from julia_bridge.install.install import find
    from sharnn_py.errors import SharnnError

    try:
        return find().name
    except JuliaUnavailable:
        return "none installed"
    except SharnnError as error:
        return str(error)
