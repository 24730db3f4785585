"""The parity suite: recordings of the public programs against the port, tensor by tensor."""

from typing import Any

import lazy_loader

_attached, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_RENAMED = {"Item": "TracedTensor", "Precision": "RunMode", "Step": "Operation", "hold": "compare_case"}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        return _attached(name)
    import warnings

    warnings.warn(f"parity.{name} is now parity.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    return _attached(_RENAMED[name])
