"""The parity suite: recordings of the public programs against the port, tensor by tensor."""

from typing import Any

from sharnn_py.lazy_package import attach

_attached, __dir__, __all__ = attach(__name__)
_RENAMED = {
    "Item": "TracedTensor",
    "Precision": "RunMode",
    "Step": "Operation",
    "hold": "compare_case",
    "recorded": "recording_of",
}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        return _attached(name)
    import warnings

    warnings.warn(f"parity.{name} is now parity.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    return _attached(_RENAMED[name])
