"""What a subject must meet whatever was recorded: one run is like the other, float32 is near float64, and the tolerance
is small.

Without these a subject could buy its tolerance by being imprecise: what is drawn at random, or computed in half
precision, spreads as far as it is wrong.
"""

from dataclasses import replace

import torch
from torch import Tensor

from parity.arithmetic.lookout import Lookout
from parity.measure import Measure
from parity.recording.names import TensorName
from parity.recording.recording import Recording
from parity.results import Comparison, Hint
from parity.subject.subject import RunMode, Subject
from parity.tolerance import LARGEST_SHARE


def unlike(once: Tensor, again: Tensor) -> str:
    """What is wrong if one run of the subject is not the other, bit for bit; "" if nothing is."""
    if once.shape != again.shape:
        return f"computed twice from the same numbers, it has shape {tuple(once.shape)} and {tuple(again.shape)}"
    if torch.equal(once.nan_to_num(), again.nan_to_num()):
        return ""
    return f"computed twice from the same numbers, it differs by up to {float((once - again).abs().max()):.3g}"


def limited(measure: Measure, name: TensorName, isolated: bool) -> Measure:
    """The measure, failed if its tolerance is a larger share of the tensor's size than sound layers show."""
    limit = LARGEST_SHARE["backward" if name.group not in FORWARD else "isolated" if isolated else "end to end"]
    if measure.problem or not measure.scale or measure.tolerance <= limit * measure.scale:
        return measure
    share = measure.tolerance / measure.scale
    problem = f"rounding may move it by {share:.2g} of its size, and no more than {limit:.2g} is ever allowed"
    return replace(measure, agrees=False, problem=problem, unsound=True)


FORWARD = ("eval", "carry")


def with_reasons(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons, with what the subject was seen to do where one is wrong without a difference of semantics."""
    unsound = [c for c in comparisons if c.verdict == "wrong" and _is_unsound(c)]
    if not unsound:
        return comparisons
    seen = {dtype: _looked_at(recording, subject, dtype) for dtype in (torch.float64, torch.float32)}

    def explained(c: Comparison) -> Comparison:
        if c not in unsound:
            return c
        found = seen[torch.float64 if c.own.unsound else torch.float32].findings
        if not found and c.own.unsound:
            return c
        what = " and ".join(found) if found else "computes something in float32 that it does not compute in float64"
        return replace(c, hints=(Hint(f"the subject {what}", c.name, c.own.units, 0.0, _evidence(c, bool(found))),))

    return [explained(c) for c in comparisons]


def _evidence(c: Comparison, seen: bool) -> str:
    parts = ["seen in its run"] if seen else []
    if not c.own.unsound:
        agrees = c.own.error <= c.own.tolerance
        parts.append("its float64 run agrees with the reference" if agrees else "its float64 run is off as well")
    return "; ".join(parts)


def _is_unsound(c: Comparison) -> bool:
    own = c.own
    return own.unsound or (not own.problem and own.imprecision > own.tolerance)


def _looked_at(recording: Recording, subject: Subject, dtype: torch.dtype) -> Lookout:
    lookout = Lookout()
    for _ in subject.stream(recording, RunMode(dtype, lookout=lookout)):
        pass
    return lookout
