"""The operations that diagnosis knows, by name, and how others are added."""

from importlib import import_module
from pkgutil import iter_modules

from parity.diagnosis.definition import OperationDefinition
from parity.errors import UsageError

OPERATIONS: dict[str, OperationDefinition] = {}
"""What diagnosis knows of each operation, by its name: the `OPERATIONS` of every file here. The result of an operation
of any other name is taken from the subject."""

for _module in iter_modules(__path__):
    OPERATIONS |= getattr(import_module(f"{__name__}.{_module.name}"), "OPERATIONS", {})


def register(name: str, definition: OperationDefinition) -> None:
    """Make an operation known to diagnosis under the name that `parity.Operation` gives it.

    Raises `UsageError` for a name that is taken.
    """
    if name in OPERATIONS:
        raise UsageError(f"an operation {name!r} is registered already: give yours a name of its own")
    OPERATIONS[name] = definition


__all__ = ["OPERATIONS", "register"]
