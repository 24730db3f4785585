"""Holding a subject against a recording: every tensor measured twice, and a verdict on each.

The subject runs on its own inputs as they arrive, and forced, on the reference's. A layer that is off only as its
inputs arrive has inherited the error; one that is off on the reference's inputs is wrong itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from parity.errors import RecordingError
from parity.judge.backward import WrongWay, wrong_ways
from parity.measure import Measure, Worst, measure_exact, measure_rounded
from parity.recording.recording import Recording
from parity.results import Comparison, Hint
from parity.subject.subject import NOT_DETACHED, RunMode, Subject, TracedTensor
from parity.tolerance import MULTIPLE, ROUNDING_RUNS
from sharnn_py.errors import InputError, SharnnError
from sharnn_py.freed import return_freed_memory

REQUIRED_GROUPS = {"param"}
"""Of the groups of tensors in a recording; the others may be absent as a whole."""


@dataclass(frozen=True)
class Measured:
    """One tensor of one of the two runs."""

    item: TracedTensor
    measure: Measure
    shape: tuple[int, ...]


def judge(recording: Recording, subject: Subject) -> list[Comparison]:
    """Every comparison of a recording with a subject, in order of computation.

    If the subject itself stops with an error, that is the last and a wrong one. Raises `SharnnError` for a recording
    that cannot be replayed.
    """
    comparisons: list[Comparison] = []
    runs = [_by_segment(_measure(recording, subject, isolated)) for isolated in (False, True)]
    # Segment by segment, so that what a segment recorded is read while it is at hand.
    while True:
        end_to_end, isolated = (next(run, []) for run in runs)
        return_freed_memory()
        if not end_to_end and not isolated:
            return _with_ways_back(recording, subject, _with_detached(comparisons))
        comparisons += _verdicts(recording, subject, end_to_end, isolated, comparisons)


def _by_segment(measured: Iterator[Measured]) -> Iterator[list[Measured]]:
    for _, members in groupby(measured, lambda m: m.item.place[1]):
        yield list(members)


def _measure(recording: Recording, subject: Subject, isolated: bool) -> Iterator[Measured]:
    """One run in float64 and the float32 runs beside it, in step."""
    modes = [RunMode(torch.float64, isolated=isolated)]
    modes += [RunMode(torch.float32, run, isolated) for run in range(ROUNDING_RUNS)]
    groups = {name.split("/")[0] for name in recording.tensors} | REQUIRED_GROUPS
    last = "nothing"
    try:
        for truth, *rounded in zip(*(subject.stream(recording, p) for p in modes), strict=True):
            if truth.reference.split("/")[0] not in groups:
                continue
            yield _measured(recording, truth, rounded)
            last = truth.name
    except Exception as error:
        # A port that refuses its own state or ids is at fault; every other error of ours is about the recording.
        if isinstance(error, SharnnError) and not isinstance(error, InputError):
            raise
        problem = f"{subject.label} stopped with {type(error).__name__}: {error}"
        stopped = TracedTensor(f"after {last}", torch.empty(0), subject.label, whole=True)
        yield Measured(stopped, Measure(False, problem), ())


def _measured(recording: Recording, truth: TracedTensor, rounded: list[TracedTensor]) -> Measured:
    recorded = recording.tensors.get(truth.reference)
    if recorded is None:
        if not truth.problem:
            raise RecordingError(f"{recording.label}: tensor {truth.reference} is missing")
        return Measured(truth, Measure(False, truth.problem), tuple(truth.tensor.shape))
    if truth.exact:
        measure = measure_exact(recorded, rounded[0].tensor)
    else:
        runs = [item.tensor for item in rounded]
        measure = measure_rounded(recorded, truth.tensor, runs, time_axis=truth.time_axis, least=_moved(truth, rounded))
    if truth.problem or any(item.problem for item in rounded):
        measure = replace(measure, agrees=False, problem=truth.problem or rounded[0].problem)
    return Measured(replace(truth, tensor=torch.empty(0), norm_of=None), measure, tuple(recorded.shape))


def _moved(truth: TracedTensor, rounded: list[TracedTensor]) -> float:
    """How far float32 moves the tensor that a norm is of, and so may move the norm; 0 of anything else.

    A norm is one number, of which four runs may all happen to hit the truth.
    """
    if truth.norm_of is None:
        return 0.0
    moves = [item.norm_of.to(torch.float64) - truth.norm_of for item in rounded if item.norm_of is not None]
    return max(float(torch.linalg.vector_norm(move)) for move in moves)


def _verdicts(
    recording: Recording,
    subject: Subject,
    end_to_end: list[Measured],
    isolated: list[Measured],
    before: list[Comparison],
) -> Iterator[Comparison]:
    alone = {m.item.name: m.measure for m in isolated}
    wrong = any(c.verdict == "wrong" for c in before)
    wrong_forward = any(c.verdict == "wrong" and c.name.startswith("eval/") for c in before)
    parameters = {c.name for c in before if c.verdict == "wrong" and c.exact}
    for m in end_to_end or isolated:
        item = m.item
        own = alone.get(item.name)
        if own is not None and (item.whole or math.prod(m.shape) == 1):
            # What all of the model stands behind carries the rounding of all of it; and of a single number, such as
            # a loss, a few runs by themselves may miss what rounding does.
            own = own.with_rounding(m.measure)
        layer, segment = item.place
        comparison = Comparison(
            item.name, item.reference, item.where, layer, segment, item.exact, m.shape, m.measure, own, "agrees"
        )
        if not (m.measure if own is None else own):
            blamed = wrong if own is None or item.whole else parameters & subject.parameters_of(recording, comparison)
            # What is wrong on the way forward, or computes with a wrong parameter, is so on the way back.
            blamed = blamed or (item.name.startswith("agrad/") and (wrong_forward or bool(parameters)))
            comparison = replace(comparison, verdict="inherited" if blamed else "wrong")
        elif not m.measure:
            comparison = replace(comparison, verdict="inherited")
        wrong |= comparison.verdict == "wrong"
        wrong_forward |= comparison.verdict == "wrong" and item.name.startswith("eval/")
        if item.exact and comparison.verdict == "wrong":
            parameters.add(item.name)
        yield comparison


def _with_ways_back(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """Before the first gradient that is wrong, the layers whose way back is; those gradients have inherited it."""
    first = next((c for c in comparisons if c.verdict == "wrong" and c.name.startswith(("agrad/", "grad/"))), None)
    gradient_probe = (
        None if first is None or first.segment is None else subject.gradient_probe(recording, first.segment)
    )
    if first is None or gradient_probe is None:
        return comparisons
    ways = [_way_back(way, first) for way in wrong_ways(gradient_probe)]
    if not ways:
        return comparisons
    at = comparisons.index(first)
    after = [replace(c, verdict="inherited") if _is_gradient(c) and not c else c for c in comparisons[at:]]
    return [*comparisons[:at], *ways, *after]


def _with_detached(comparisons: list[Comparison]) -> list[Comparison]:
    """A state that hangs on its segment's graph, explained where the gradients of the next agree once it is cut off."""

    def explained(c: Comparison) -> Comparison:
        if c.end_to_end.problem != NOT_DETACHED or c.segment is None:
            return c
        after = [g for g in comparisons if g.segment == c.segment + 1 and g.name.startswith("grad/")]
        if not after or not all(g.isolated for g in after):
            return c
        cut = max(g.isolated.units for g in after if g.isolated is not None)
        description = (
            "the subject does not detach it; detached, as the reference's is, the next segment's gradients agree"
        )
        return replace(c, hints=(Hint(description, c.name, max(g.end_to_end.units for g in after), cut),))

    return [explained(c) for c in comparisons]


def _is_gradient(comparison: Comparison) -> bool:
    return "grad" in comparison.name.split("/")[0] or comparison.layer.startswith("train/")


def _way_back(way: WrongWay, first: Comparison) -> Comparison:
    name = f"backward/{first.segment}/{way.to}"
    where = f"segment {first.segment}, gradient from {way.to} back to {way.source}"
    error = abs(way.found - way.expected)
    worst = Worst((), way.expected, way.found, way.expected)
    measure = Measure(False, "", error, way.tolerance / MULTIPLE, abs(way.expected), way.tolerance, worst)
    hint = Hint(way.description, way.to, measure.units, 0.0)
    layer = f"backward/{way.to}"
    return Comparison(name, "", where, layer, first.segment, False, (), measure, measure, "wrong", (hint,))
