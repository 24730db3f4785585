"""Packages that this project can be installed without, and what to say where one is needed and is not there.

A machine that only serves exports has neither torch nor onnx; onnxruntime comes with an extra.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sharnn_py.errors import MissingPackage

_EXTRA = 'pip install "sharnn[cpu]" brings it, or "sharnn[gpu]" for CUDA, never both'
_WHOLE = "pip install sharnn brings it; what serves exports, sharnn generate and sharnn score, works without"
_YARN = 'pip install "sharnn[yarn]" brings it'
_SERVER = 'pip install "sharnn[serve]" brings it'
_TRAINING = 'pip install "sharnn[train]" brings it'
PACKAGES = {
    "onnxruntime": _EXTRA,
    **dict.fromkeys(("fastapi", "fastapi_offline", "prometheus_client", "pydantic", "starlette", "uvicorn"), _SERVER),
    **dict.fromkeys(("matplotlib", "pyppmd"), _TRAINING),
    **dict.fromkeys(("lancedb", "openTSNE", "pyarrow"), _YARN),
    **dict.fromkeys(
        ("elftools", "jinja2", "junitparser", "markupsafe", "msgspec", "onnx", "rich", "tomli", "torch"), _WHOLE
    ),
}
"""How to get each package, by the name that it is imported under."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Within, failing to import a package of `PACKAGES` is a `MissingPackage`: `what` needs it, and how to get it."""
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            why = "which is not installed"
        else:  # such as what is left of a wheel after one of the same module was removed
            why = f"whose installation is broken ({' '.join(str(error).split())}); uninstall it first"
        raise MissingPackage(f"{what} needs {package}, {why}: {PACKAGES[package]}") from error
