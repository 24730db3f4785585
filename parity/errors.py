"""Errors of the parity suite."""

from collections.abc import Sequence
from difflib import get_close_matches

from sharnn_py.errors import SharnnError

HOW_TO_CHECK = "hold a torch module against one with `sharnn parity check MODULE:FACTORY FILE`"
"""What to do with a recording of another model than SHA-RNN."""


class RecordingError(SharnnError):
    """A recording that cannot be read, or is not what its own header says."""


class UsageError(SharnnError):
    """A request that makes no sense, such as a case that does not exist."""

    exit_code = 2


def suggestion(given: str, known: Sequence[str], what: str) -> str:
    """Which of `known` a misspelt name may have meant, as the end of a sentence; all of them if none is like it.

    `what` they are, as "cases". A name is also known by its last part: `case` is near `folder/case_1`.
    """
    parts = {part: name for name in known for part in (name.rpartition("/")[2], name)}
    near = list(dict.fromkeys(parts[part] for part in get_close_matches(given, parts, cutoff=0.75)))
    return f"did you mean {' or '.join(near)}?" if near else f"the {what} are {', '.join(known)}"
