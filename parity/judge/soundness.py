"""What a subject must meet whatever was recorded: one run is like the other, float32 is near float64, and the tolerance
is small.

Without these a subject could buy its tolerance by being imprecise: what is drawn at random, or computed in half
precision, spreads as far as it is wrong.
"""

from contextlib import suppress
from dataclasses import replace
from functools import cache, partial

import torch
from torch import Tensor

from parity.arithmetic.lookout import Lookout
from parity.measure import Measure
from parity.recording.recording import Recording
from parity.results import Comparison, Hint
from parity.subject.subject import RunMode, Subject, TracedTensor
from parity.tolerance import LARGEST_SHARE, LARGEST_SHARE_OF_HALF, UNIT


def unlike(once: Tensor, again: Tensor) -> str:
    """What is wrong if one run of the subject is not the other, bit for bit; "" if nothing is."""
    if once.shape != again.shape:
        return f"computed twice from the same numbers, it has shape {tuple(once.shape)} and {tuple(again.shape)}"
    if torch.equal(once.nan_to_num(), again.nan_to_num()):
        return ""
    return f"computed twice from the same numbers, it differs by up to {float((once - again).abs().max()):.3g}"


NOTHING = 256.0
"""Units of rounding at the scale of the largest gradient: where all of a gradient is less, it is rounding."""


def limited(measure: Measure, traced: TracedTensor, isolated: bool, format: torch.dtype, largest: float) -> Measure:
    """The measure, failed if its tolerance is a larger share of the tensor's size than sound layers show.

    Some gradients are zero, but for rounding: that of a bias that a softmax or a normalisation takes out again. What is
    small beside the `largest` gradient so far is let pass.
    """
    name, size = traced.parts, max(measure.scale, traced.terms)
    place = "backward" if name.group not in FORWARD else "isolated" if isolated else "end to end"
    limit = max(LARGEST_SHARE[place], LARGEST_SHARE_OF_HALF.get(format, 0.0))
    if measure.problem or not size or measure.tolerance <= limit * size:
        return measure
    if name.is_gradient and measure.tolerance <= NOTHING * UNIT[format] * largest:
        return measure
    share = measure.tolerance / size
    problem = f"rounding may move it by {share:.2g} of its size, and no more than {limit:.2g} is ever allowed"
    return replace(measure, agrees=False, problem=problem, unsound=True)


FORWARD = ("eval", "carry")


def with_reasons(recording: Recording, subject: Subject, comparisons: list[Comparison]) -> list[Comparison]:
    """The comparisons, with what the subject was seen to do where one is wrong without a difference of semantics."""
    looked_at = cache(partial(_looked_at, recording, subject))
    by_a_little = next((c for c in comparisons if c.verdict == "wrong" and _is_off_by_a_little(c)), None)

    def explained(c: Comparison) -> Comparison:
        if c.verdict == "wrong" and _is_unsound(c):
            what = " and ".join(looked_at(torch.float64 if c.own.unsound else recording.format).findings)
            if not what and not c.own.unsound:
                what = "computes something in float32 that it does not compute in float64"
        else:
            what = looked_at(torch.float64).in_half if c is by_a_little else ""
        if not what:
            return c
        return replace(c, hints=(Hint(f"the subject {what}", c.name, c.own.units, 0.0, _evidence(c)),))

    return [explained(c) for c in comparisons]


def _is_off_by_a_little(c: Comparison) -> bool:
    return not c.own.problem and c.own.error <= HALF_A_DIGIT * c.own.scale


HALF_A_DIGIT = 2.0**-6
"""Of a tensor's size: what half precision is off by, and no more. bfloat16 has 8 bits."""


def _evidence(c: Comparison) -> str:
    if c.own.imprecision > c.own.tolerance >= c.own.error:
        return "its float64 run agrees with the reference"
    return "seen in its run; nothing was recomputed"


def _is_unsound(c: Comparison) -> bool:
    own = c.own
    return own.unsound or (not own.problem and own.imprecision > own.tolerance)


def _looked_at(recording: Recording, subject: Subject, dtype: torch.dtype) -> Lookout:
    lookout = Lookout()
    with suppress(Exception):  # what stops it has been said
        for _ in subject.stream(recording, RunMode(dtype, lookout=lookout)):
            pass
    return lookout
