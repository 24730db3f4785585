"""Values as JSON can hold them: the one rule for infinities and NaN, which it has no numbers for."""

import math
from collections.abc import Mapping
from typing import Any


def attributes(value: object, *names: str) -> dict[str, Any]:
    """These attributes of an object, by name."""
    return {name: getattr(value, name) for name in names}


def encode(value: Any, digits: int | None = None) -> Any:
    """`value` for `json.dumps(..., allow_nan=False)`.

    A number that is not finite becomes "Infinity", "-Infinity" or "NaN"; `digits` rounds all others to as many
    significant digits. The members of mappings, lists and tuples are encoded too; any other object becomes its text.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return value if digits is None else float(f"{value:.{digits}g}")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {key: encode(member, digits) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(member, digits) for member in value]
    return str(value)
