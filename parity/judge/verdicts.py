"""Comparing a subject with a recording: every tensor measured twice, and a verdict on each.

The subject runs end to end, and isolated, with every layer on the reference's inputs. A layer that is off end to end
only has inherited the error; one that is off on the reference's inputs is wrong.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from parity.arithmetic.lookout import raised_at
from parity.errors import RecordingError
from parity.judge.backward import BackwardFault, backward_faults
from parity.judge.in_step import in_step
from parity.judge.soundness import FORWARD, limited, unlike, with_reasons
from parity.measure import Measure, Worst, measure_exact, measure_rounded
from parity.recording.names import parse
from parity.recording.recording import Recording
from parity.results import Comparison, Hint
from parity.subject.subject import NOT_DETACHED, RunMode, Subject, TracedTensor
from parity.tolerance import MULTIPLE, ROUNDED_RUNS, SMALLEST, UNIT
from sharnn_py.errors import InputError, SharnnError
from sharnn_py.freed import return_freed_memory

STOPPED = "after "
"""What the name of a comparison begins with that says where the subject stopped with an error."""
REQUIRED_GROUPS = {"param"}
"""The groups of tensors that every recording has. Any other may be absent altogether."""


@dataclass(frozen=True)
class Measured:
    """One tensor of one of the two runs."""

    traced: TracedTensor
    measure: Measure
    shape: tuple[int, ...]
    unlimited: Measure | None = None
    """The measure but for the limit on its tolerance."""


def judge(recording: Recording, subject: Subject) -> list[Comparison]:
    """Every comparison of a recording with a subject, in order of computation.

    If the subject itself stops with an error, that is the last comparison, and wrong. Raises `SharnnError` for a
    recording that cannot be replayed.
    """
    comparisons: list[Comparison] = []
    runs = [_by_segment(_measure(recording, subject, isolated)) for isolated in (False, True)]
    # Segment by segment, so that what a segment recorded is read while it is at hand.
    while True:
        end_to_end, isolated = (next(run, []) for run in runs)
        return_freed_memory()
        if not end_to_end and not isolated:
            comparisons = with_reasons(recording, subject, _with_detached(comparisons))
            return _with_backward_faults(recording, subject, comparisons)
        comparisons += _verdicts(recording, subject, end_to_end, isolated, comparisons)


def _by_segment(measured: Iterator[Measured]) -> Iterator[list[Measured]]:
    for _, members in groupby(measured, lambda m: m.traced.parts.index):
        yield list(members)


def _measure(recording: Recording, subject: Subject, isolated: bool) -> Iterator[Measured]:
    """One run in float64, the same again, one in the recording's format, and those that show what rounding does."""
    exact = RunMode(torch.float64, isolated=isolated, format=recording.format)
    modes = [exact, replace(exact, again=True)]
    modes += [replace(exact, nudged=run) for run in range(1, ROUNDED_RUNS + 1)]
    groups = {parse(name).group for name in recording.tensors} | REQUIRED_GROUPS
    last, largest, off = "nothing", 0.0, False
    shown: dict[str, float] = {}
    try:
        exactly = [subject.stream(recording, mode) for mode in modes]
        singly = subject.stream(recording, replace(exact, dtype=recording.format))
        for (truth, again, *rounded), single in in_step(exactly, singly, recording.format):
            if parse(truth.reference).group not in groups:
                continue
            if off and truth.reference not in recording.tensors and not truth.problem:
                # A port that has gone wrong may compute what the reference does not, as with its blocks in disorder.
                problem = f"{subject.label} computes this, and there is no {truth.reference} in the recording"
                truth = replace(truth, problem=problem)
            if truth.rounded_as:
                rounded, least = [truth], shown.get(truth.rounded_as, 0.0)
            else:
                least = _moved(truth, rounded)
            measured = _measured(recording, isolated, truth, again, single, rounded, least, largest)
            shown[truth.name] = measured.measure.rounding
            largest = max(largest, measured.measure.scale if truth.parts.is_gradient else 0.0)
            off |= not measured.measure.agrees
            yield measured
            last = truth.name
    except Exception as error:
        # A port that refuses its own state or ids is at fault; every other error of ours is about the recording.
        if isinstance(error, SharnnError) and not isinstance(error, InputError):
            raise
        problem = f"{subject.label} stopped with {type(error).__name__} at {raised_at(error.__traceback__)}: {error}"
        stopped = TracedTensor(f"{STOPPED}{last}", torch.empty(0), subject.label, end_to_end_only=True)
        yield Measured(stopped, Measure(False, problem), ())


def _measured(
    recording: Recording,
    isolated: bool,
    truth: TracedTensor,
    again: TracedTensor,
    single: TracedTensor,
    rounded: list[TracedTensor],
    least: float,
    largest: float,
) -> Measured:
    """One tensor measured, whose rounding is known to be at least `least`; `largest` is the scale of the largest
    gradient before it."""
    recorded = recording.tensors.get(truth.reference)
    if recorded is None:
        if not truth.problem:
            raise RecordingError(f"{recording.label}: tensor {truth.reference} is missing")
        return Measured(truth, Measure(False, truth.problem), tuple(truth.tensor.shape))
    if truth.exact:
        measure = measure_exact(recorded, single.tensor)
    else:
        runs = [run.tensor for run in rounded]
        measure = measure_rounded(
            recorded, truth.tensor, runs, single.tensor,
            unit=UNIT[recording.format], time_axis=truth.time_axis,
            least=max(least, SMALLEST.get(recording.format, 0.0)),
        )  # fmt: skip
        if truth.tolerance is not None:
            measure = measure.held_to(truth.tolerance)
    if differs := unlike(truth.tensor, again.tensor):
        measure = replace(measure, agrees=False, problem=differs, unsound=True)
    if problem := truth.problem or single.problem:
        measure = replace(measure, agrees=False, problem=problem)
    unlimited = measure
    if not truth.exact and truth.tolerance is None:
        measure = limited(measure, truth, isolated, recording.format, largest)
    shown = replace(truth, tensor=torch.empty(0), norm_of=None)
    return Measured(shown, measure, tuple(recorded.shape), unlimited)


def _moved(truth: TracedTensor, rounded: list[TracedTensor]) -> float:
    """How far float32 moves the tensor that a norm is of, and so may move the norm; 0 of anything else.

    A norm is one number, of which all runs may happen to hit the truth.
    """
    if truth.norm_of is None:
        return 0.0
    moves = [run.norm_of.to(torch.float64) - truth.norm_of for run in rounded if run.norm_of is not None]
    return max(float(torch.linalg.vector_norm(move)) for move in moves)


def _verdicts(
    recording: Recording,
    subject: Subject,
    end_to_end: list[Measured],
    isolated: list[Measured],
    before: list[Comparison],
) -> Iterator[Comparison]:
    on_reference = {m.traced.name: m.measure for m in isolated}
    wrong = any(c.verdict == "wrong" for c in before)
    wrong_forward = any(c.verdict == "wrong" and c.tensor_name.is_forward for c in before)
    parameters = {c.name for c in before if c.verdict == "wrong" and c.exact}
    for m in end_to_end or isolated:
        traced, name = m.traced, m.traced.parts
        own, whole = on_reference.get(traced.name), m.measure
        if own is not None and own.agrees and m.unlimited is not None and name.group not in FORWARD:
            # From update to update rounding may grow past a gradient's size. On the reference's inputs it did not.
            whole = m.unlimited
        if own is not None and (traced.end_to_end_only or math.prod(m.shape) == 1):
            # A tensor that depends on the whole model carries the rounding of all of it; and of a single number, such
            # as a loss, the few isolated runs may miss what rounding does.
            own = own.with_rounding(m.measure)
        comparison = Comparison(
            traced.name, traced.reference, traced.where, name.layer, name.index, traced.exact, m.shape, whole, own,
            "agrees",
        )  # fmt: skip
        if not (whole if own is None else own).agrees:
            if own is None or traced.end_to_end_only:
                inherited = wrong
            else:
                inherited = bool(parameters & subject.parameters_of(recording, comparison))
            # What is wrong in the forward pass, or computes with a wrong parameter, is wrong in the backward pass.
            inherited = inherited or (name.group == "agrad" and (wrong_forward or bool(parameters)))
            # Updates begin from recorded parameters, gradients and moments, taken over as the first parameters were.
            inherited = inherited or (name.group == "train" and bool(parameters))
            comparison = replace(comparison, verdict="inherited" if inherited else "wrong")
        elif not whole.agrees:
            comparison = replace(comparison, verdict="inherited")
        if comparison.verdict == "wrong":
            wrong = True
            wrong_forward |= name.is_forward
            if traced.exact:
                parameters.add(traced.name)
        yield comparison


def _with_backward_faults(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """Before the first gradient that is wrong, the layers whose derivative is; those gradients have inherited it."""
    first = next((c for c in comparisons if c.verdict == "wrong" and c.tensor_name.group in ("agrad", "grad")), None)
    gradient_probe = (
        None if first is None or first.segment is None else subject.gradient_probe(recording, first.segment)
    )
    if first is None or gradient_probe is None:
        return comparisons
    faults = [_backward(fault, first) for fault in backward_faults(gradient_probe)]
    if not faults:
        return comparisons
    at = comparisons.index(first)
    after = [
        replace(c, verdict="inherited") if c.tensor_name.is_gradient and not c.agrees else c for c in comparisons[at:]
    ]
    return [*comparisons[:at], *faults, *after]


def _with_detached(comparisons: list[Comparison]) -> list[Comparison]:
    """A state that hangs on its segment's graph, explained where the gradients of the next agree once it is cut off."""

    def explained(c: Comparison) -> Comparison:
        if c.end_to_end.problem != NOT_DETACHED or c.segment is None:
            return c
        after = [g for g in comparisons if g.segment == c.segment + 1 and g.tensor_name.group == "grad"]
        if not after or not all(g.isolated is not None and g.isolated.agrees for g in after):
            return c
        cut = max(g.isolated.units for g in after if g.isolated is not None)
        description = (
            "the subject does not detach it; detached, as the reference's is, the next segment's gradients agree"
        )
        return replace(c, hints=(Hint(description, c.name, max(g.end_to_end.units for g in after), cut),))

    return [explained(c) for c in comparisons]


def _backward(fault: BackwardFault, first: Comparison) -> Comparison:
    name = f"backward/{first.segment}/{fault.to}"
    where = f"segment {first.segment}, gradient from {fault.to} back to {fault.source}"
    error = abs(fault.found - fault.expected)
    worst = Worst((), fault.expected, fault.found, fault.expected)
    measure = Measure(False, "", error, fault.tolerance / MULTIPLE, abs(fault.expected), fault.tolerance, worst)
    evidence = f"along one random direction autograd gives {fault.found:.6g}, differences give {fault.expected:.6g}"
    hint = Hint(fault.description, fault.to, measure.units, 0.0, evidence)
    layer = f"backward/{fault.to}"
    return Comparison(name, "", where, layer, first.segment, False, (), measure, measure, "wrong", (hint,))
