"""Which of a case's findings are known: the wrong tensors at which the ledger says that a difference is first seen."""

import dataclasses
from collections.abc import Iterable
from fnmatch import fnmatchcase

from parity.results import Comparison
from parity.sharnn.ledger.entry import Whose
from parity.sharnn.ledger.ledger import load
from sharnn_py.config import Semantics


def known(comparisons: Iterable[Comparison], whose: Whose, reference: Semantics, subject: Semantics) -> dict[str, str]:
    """The name of every wrong comparison that is a known difference, to the id of the ledger's entry.

    An entry is asked only if `reference` and `subject` differ in its switch: what is wrong under the same semantics is
    no difference of the programs. `whose` names the tensors have.
    """
    switches = {
        field.name
        for field in dataclasses.fields(Semantics)
        if getattr(reference, field.name) != getattr(subject, field.name)
    }
    if not switches:
        return {}
    patterns = [(p, e.id) for e in load().entries if e.switch in switches for p in e.patterns(whose)]
    found: dict[str, str] = {}
    for c in comparisons:
        if c.verdict == "wrong":
            entries = [entry for pattern, entry in patterns if fnmatchcase(c.name, pattern)]
            found |= {c.name: entries[0]} if entries else {}
    return found
