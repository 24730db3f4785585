"""A function of torch of which nothing is known but how to call it.

Roles: "0", "1", ...; settings: `call`, `words`, which name it, and `others`, functions that may be called in its place,
as triples of words, words for the canonical, and function.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant
from parity.diagnosis.operations.activation import FUNCTIONS


def called(o: Operands) -> Tensor:
    """What the function gives of the operands, in order. Raises `KeyError` if one is missing."""
    result: Tensor = o.settings["call"](*(o[str(i)] for i in range(o.settings.get("count", len(o.tensors)))))
    return result


def _variants(o: Operands) -> Iterator[Variant]:
    tensors = [o[str(i)] for i in range(len(o.tensors))]
    for description, canonical, other in o.setting("others", ()):
        yield Variant(description, canonical, partial(other, *tensors), needs_whole_tensor=True)
    if len(tensors) == 1 and tensors[0].is_floating_point() and called(o).shape == tensors[0].shape:
        for words, function in FUNCTIONS.values():
            yield Variant(
                f"applies {words}", o.setting("words", "") or "a function of its own", partial(function, tensors[0])
            )


OPERATIONS = {"call": OperationDefinition(called, _variants)}
