"""A function of torch of which nothing is known but how to call it. Roles: "0", "1", ...; setting: `call`."""

from __future__ import annotations

from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition


def called(o: Operands) -> Tensor:
    """What the function gives of the operands, in order. Raises `KeyError` if one is missing."""
    result: Tensor = o.settings["call"](*(o[str(i)] for i in range(o.settings.get("count", len(o.tensors)))))
    return result


OPERATIONS = {"call": OperationDefinition(called)}
