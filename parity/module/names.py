"""Names that only one side has: an error where the caller gave one, else shown, with what may be the same tensor."""

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from parity.arrangement import permutation_to
from parity.errors import UsageError
from parity.judge.case import NOT_COMPUTED
from parity.judge.verdicts import STOPPED
from parity.module.segment import Run, Segment, inputs
from parity.module.subject import ModuleSubject
from parity.module.terms import matching
from parity.recording.names import parse
from parity.recording.recording import Recording
from parity.results import CaseResult
from parity.subject.subject import RunMode

SHOWN = 5
"""Names of a list that are shown before the rest are counted."""
NEAR = 1e-4
"""Of a tensor's scale: how near two tensors are that are taken for the same computed in float32."""
ROUNDS = 8
"""How often a module is run on what was recognised before, so that what follows an error is recognised as well."""


def with_names(result: CaseResult, subject: ModuleSubject, recording: Recording) -> CaseResult:
    """The result with notes of what either side has alone, and of which of these may be which.

    Raises `UsageError` for a key of `names` or a pattern of `layout` that nothing in the module is named by.
    """
    run = subject.run
    parameters = list(subject.module.state_dict())
    ours = [*parameters, *run.seen]
    if not any(c.name.startswith(STOPPED) for c in result.comparisons):
        given = [f"input.{key}" for key, _ in inputs(recording, 1)]
        _check_keys(run, [*ours, *given])
    theirs = [
        name for name, why in result.skipped.items() if why == NOT_COMPUTED and matching(run.terms.skip, name) is None
    ]
    recorded = {parse(name).path for name in recording.tensors}
    alone = [name for name in run.seen if run.entry(name)[0] not in recorded]
    if recording.has("param"):
        alone += [name for name in parameters if run.entry(name)[0] not in recorded]
    paths = list(dict.fromkeys(parse(name).path for name in theirs))
    notes = [f"in the recording alone: {_some(paths)}"] if paths else []
    notes += [f"in the module alone: {_some(alone)}"] if alone else []
    if paths and alone:
        notes += _described(proposals(subject, recording, set(alone), theirs))
    return replace(result, notes=[*result.notes, *notes])


def _check_keys(run: Run, ours: list[str]) -> None:
    for name in run.names:
        if name not in ours:
            near = difflib.get_close_matches(name, ours, SHOWN, 0.3) or ours[:SHOWN]
            raise UsageError(f"names: nothing in the module is named {name!r}; there are {', '.join(near)}")
    for pattern in run.layout:
        if not any(fnmatchcase(name, pattern) for name in ours):
            raise UsageError(f"layout: nothing in the module is named by {pattern!r}; there are {_some(ours)}")


@dataclass(frozen=True)
class Proposal:
    """One of the module's names, and one of the recording's that may be the same tensor."""

    ours: str
    theirs: str
    why: str
    order: tuple[int, ...] | None = None
    """The order in which `permute` brings the recorded axes into the module's, if it is another."""


def proposals(
    subject: ModuleSubject, recording: Recording, ours: Iterable[str], theirs: Iterable[str]
) -> list[Proposal]:
    """Which of the names that only the module has may be which of the recording's: by value, else by shape and order.

    The module runs on the recording's first segment, with what was recognised already in the place of its own.
    """
    ours = set(ours)
    recorded = {name: recording.tensors[name] for name in theirs}
    parameters = {name: t.detach() for name, t in subject.module.state_dict().items() if name in ours}
    left = {name: t for name, t in recorded.items() if parse(name).group == "param"}
    found = list(_equal(parameters, left))
    found += _of_equal_shape({name: t for name, t in parameters.items() if name not in _names(found)}, left)
    left = {name: t for name, t in recorded.items() if parse(name).group == "eval" and parse(name).index == 1}
    computed: dict[str, Tensor] = {}
    for _ in range(ROUNDS):
        own = _computed(subject, recording, found)
        computed = {name: t for name, t in own.items() if name in ours - _names(found)}
        new = list(_equal(computed, left))
        found += new
        if not new:
            break
    return found + list(_of_equal_shape(computed, left))


def _names(found: list[Proposal]) -> set[str]:
    return {proposal.ours for proposal in found}


def _computed(subject: ModuleSubject, recording: Recording, known: list[Proposal]) -> dict[str, Tensor]:
    """All that the module computes of the first segment until it stops, in order."""
    names = {**subject.run.names, **{p.ours: p.theirs for p in known}}
    layout = {**{p.ours: p.order for p in known if p.order is not None}, **subject.run.layout}
    how = replace(subject.run, names=names, layout=layout, seen={})
    mode = RunMode(torch.float64, isolated=True)
    found: dict[str, Tensor] = {}
    segment = Segment(how, subject.copied(mode), recording, mode, 1, None)

    def note(name: str, tensor: Tensor) -> Tensor:
        found[name] = tensor.detach()
        return segment.substitute(name, tensor)

    with torch.no_grad():
        try:
            segment.compute(note)
        except Exception:  # what stops the module has been said
            return found
    return found


def _equal(ours: Mapping[str, Tensor], left: dict[str, Tensor]) -> Iterator[Proposal]:
    """Names of equal values, whatever the order of the axes; each recorded tensor is taken once."""
    for name, tensor in ours.items():
        for recorded, value in left.items():
            if not _is_telling(value) or value.numel() != tensor.numel():
                continue
            order = permutation_to(value, tensor, NEAR * float(value.abs().max()))
            if order is not None:
                del left[recorded]
                same = order == tuple(range(len(order)))
                why = "equal values" if same else f"equal values after permuting axes {order}"
                yield Proposal(name, parse(recorded).path, why, None if same else order)
                break


def _of_equal_shape(ours: Mapping[str, Tensor], left: Mapping[str, Tensor]) -> Iterator[Proposal]:
    """Names of one shape, of which both sides have as many, in order."""
    for shape in dict.fromkeys(tuple(tensor.shape) for tensor in ours.values()):
        mine = [name for name, tensor in ours.items() if tuple(tensor.shape) == shape]
        other = [name for name, tensor in left.items() if tuple(tensor.shape) == shape]
        if len(mine) == len(other):
            for name, recorded in zip(mine, other, strict=True):
                yield Proposal(name, parse(recorded).path, f"other values, of the same shape {shape} and in order")


def _is_telling(tensor: Tensor) -> bool:
    """Whether it is made of several numbers, which another tensor does not have by chance."""
    return tensor.is_floating_point() and tensor.numel() > 1 and not math.isclose(float(tensor.std()), 0.0)


def _described(found: list[Proposal]) -> list[str]:
    lines = [f"the module's {p.ours} looks like the recording's {p.theirs}: {p.why}" for p in found[: 2 * SHOWN]]
    if len(found) > 2 * SHOWN:
        lines.append(f"... and {len(found) - 2 * SHOWN:,} more, as in the mapping:")
    if found:
        lines.append(f"names={ {p.ours: p.theirs for p in found} }")
    layout = {p.ours: p.order for p in found if p.order is not None}
    return [*lines, f"layout={layout}"] if layout else lines


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
