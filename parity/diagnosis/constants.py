"""Numbers that have a name: small ones, and what is made of a tensor's sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable

AGREEING = 1e-5
"""Relative, of a fitted number and the constant it is named after."""


def constants(sizes: Iterable[int]) -> dict[str, float]:
    """Numbers worth a name: small ones, and what is made of the sizes about."""
    found = {"-1": -1.0, "2": 2.0, "1 / 2": 0.5, "sqrt(2)": math.sqrt(2), "1 / sqrt(2)": math.sqrt(0.5)}
    for n in dict.fromkeys(n for n in sizes if n > 1):
        found[f"sqrt({n})"] = math.sqrt(n)
        found[f"1 / sqrt({n})"] = 1 / math.sqrt(n)
        found[str(n)] = float(n)
        found[f"1 / {n}"] = 1 / n
    return found


def named(number: float, sizes: Iterable[int]) -> str:
    """A number in words, with the constant that it is, if it is one."""
    for name, constant in constants(sizes).items():
        if abs(number - constant) <= AGREEING * abs(constant):
            return f"{number:.6g} = {name}" if "sqrt" in name else name
    return f"{number:.6g}"
