"""One numbering of blocks: SHA-RNN.jl's recordings count them from 1, Smerity's and the port from 0."""

import re
from dataclasses import replace

from parity.results import Comparison, Hint
from parity.sharnn.names import first_block
from sharnn_py.config import Program

BLOCK = re.compile(r"\b(blocks\.|block )(\d+)\b")
OF_THE_PORT = ("eval", "carry")
"""Groups of tensors whose hints speak of the port's tensors, by the port's names."""


def as_recorded(comparison: Comparison, program: Program) -> Comparison:
    """The comparison with hints that count blocks as its own name does, which is the recording's."""
    if not comparison.hints or comparison.tensor_name.group not in OF_THE_PORT:
        return comparison
    first = first_block(program)
    hints = (hint if hint.at == comparison.name else _shifted(hint, first) for hint in comparison.hints)
    return replace(comparison, hints=tuple(hints))


def as_in_the_port(comparison: Comparison, program: Program) -> Comparison:
    """A comparison with a recording of `program`, in whose words blocks are counted as in the port."""
    return replace(comparison, where=_counted(comparison.where, -first_block(program)))


def _shifted(hint: Hint, by: int) -> Hint:
    return replace(hint, at=_counted(hint.at, by), description=_counted(hint.description, by))


def _counted(text: str, by: int) -> str:
    return BLOCK.sub(lambda found: f"{found[1]}{int(found[2]) + by}", text)
