"""Running one case of a law again from what was drawn for it, without Hypothesis.

`with_repro` makes a failing law end its message with a program that does so, to paste and step through.
"""

from typing import Any

import numpy as np

from parity.laws.laws import LAWS
from parity.laws.target import Draw, LawTarget


def replay(law: str, target: LawTarget, drawn: list[Any]) -> None:
    """Run the law of that name again on what was drawn for it. Raises `Broken` as it did then."""
    left = iter(drawn)
    LAWS[law](target, lambda strategy: next(left))


def with_repro(law: str, target: LawTarget, where: str, draw: Draw) -> None:
    """Run a law; if it does not hold, the error says how to run the same case again.

    `where` is an expression for `target`, with its import before it: "from tests.laws.targets import TARGETS; ...".
    """
    drawn: list[Any] = []

    def remembered(strategy: Any) -> Any:
        value = draw(strategy)
        drawn.append(_copied(value))
        return value

    try:
        LAWS[law](target, remembered)
    except Exception as error:
        error.add_note(f"To run this case again:\n\n{program(law, where, drawn)}")
        raise


def program(law: str, where: str, drawn: list[Any]) -> str:
    """A Python program that runs the case."""
    *imports, expression = where.split("; ")
    lines = [
        "from numpy import array, float32, int64, zeros",
        *imports,
        "from parity.laws import Spec, replay",
        "from sharnn_py import Config",
        "from sharnn_py.config import Semantics",
        "",
        f"replay({law!r}, {expression}, [",
        *(f"    {literal(value)}," for value in drawn),
        "])",
    ]
    return "\n".join(lines) + "\n"


def literal(value: Any) -> str:
    """`value` as Python, to the last bit."""
    if isinstance(value, np.ndarray):
        if not value.size:
            return f"zeros({value.shape}, {value.dtype})"
        return f"array({value.tolist()!r}, {value.dtype})"
    if isinstance(value, list | tuple):
        ends = "[]" if isinstance(value, list) else "()"
        inner = ", ".join(literal(item) for item in value)
        return ends[0] + inner + ("," if len(value) == 1 and ends == "()" else "") + ends[1]
    return repr(value)


def _copied(value: Any) -> Any:
    """A copy of what was drawn, for a law may change it."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value
