"""Layer normalisation: (x - mean) / deviation over the last axis, times a gain, plus a bias.

Roles: x (..., H), weight (H,) or none, bias (H,) or none. Settings: `unbiased` (n - 1 in place of n; False), `eps`
(1e-5), `eps_outside` (added to the deviation, not to the variance; False); `over`, the axes; `centred` and
`by_mean_square`, of an RMS norm false and true.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, rowwise
from parity.diagnosis.formula import Change, Formula, Options, on, without
from parity.diagnosis.operations.weights import bias_changes

USUAL_EPS = (1e-5, 1e-6, 1e-12, 1e-8, 1e-3, 1e-4, 1e-7, 0.0)
BY = {True: "by n - 1", False: "by n"}
PLACE = {True: "outside the root", False: "inside the root"}

Statistic = Callable[[Tensor], Tensor]
CENTRES: dict[str, Statistic] = {
    "the median": lambda x: x.median(-1, keepdim=True).values,
    "the middle of the range": lambda x: (x.amax(-1, keepdim=True) + x.amin(-1, keepdim=True)) / 2,
    "the largest number": lambda x: x.amax(-1, keepdim=True),
    "the smallest number": lambda x: x.amin(-1, keepdim=True),
    "the first number": lambda x: x[..., :1],
    "the last number": lambda x: x[..., -1:],
    "the mean size |x|": lambda x: x.abs().mean(-1, keepdim=True),
    "the mean of all but the first": lambda x: x[..., 1:].mean(-1, keepdim=True),
    "the mean of all but the last": lambda x: x[..., :-1].mean(-1, keepdim=True),
}
"""What may be subtracted in the mean's place."""
SPREADS: dict[str, Statistic] = {
    "the mean absolute deviation": lambda x: x.abs().mean(-1, keepdim=True),
    "the sum of the sizes, by n - 1": lambda x: x.abs().sum(-1, keepdim=True) / (x.shape[-1] - 1),
    "the sum of the sizes": lambda x: x.abs().sum(-1, keepdim=True),
    "the norm": lambda x: torch.linalg.vector_norm(x, dim=-1, keepdim=True),
    "the largest size": lambda x: x.abs().amax(-1, keepdim=True),
    "the range": lambda x: x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True),
    "the median size": lambda x: x.abs().median(-1, keepdim=True).values,
}
"""What what was centred may be divided by in the deviation's place."""


def _compute(
    o: Operands,
    unbiased: bool = False,
    eps: float = 1e-5,
    eps_outside: bool = False,
    over: tuple[int, ...] = (-1,),
    parts: int = 1,  # of the last axis, each normalised separately
    centred: bool = True,
    by_mean_square: bool = False,  # divided by the root of the mean square instead of by the deviation
    root: bool = True,
    normalised: bool = True,
    centre: Statistic | None = None,  # over the last axis, in the mean's place
    spread_by: Statistic | None = None,  # of what was centred, in the deviation's place
    centred_over: tuple[int, ...] = (),  # the mean's axes, where they are not the deviation's
    count: float | None = None,  # in place of n or n - 1
    limit: float = math.inf,  # of the size of what is normalised
) -> Tensor:
    """(..., H)"""
    x = o["x"] if parts == 1 else torch.unflatten(o["x"], -1, (parts, -1))
    if normalised:
        middle = x - (x.mean(centred_over or over, keepdim=True) if centre is None else centre(x))
        spread = x if by_mean_square else middle
        if count is None:
            count = torch.Size([x.shape[axis] for axis in over]).numel() - unbiased
        inner, outer = (0.0, eps) if eps_outside or spread_by else (eps, 0.0)
        deviation = spread.square().sum(over, keepdim=True) / count + inner
        deviation = deviation.sqrt() if root else deviation
        x = (middle if centred else x) / ((spread_by(spread) if spread_by else deviation) + outer)
        x = x.clamp(-limit, limit)
    x = x.reshape(o["x"].shape)
    x = x * o["weight"] if "weight" in o else x
    return x + o["bias"] if "bias" in o else x


NORM = Formula(_compute)


def _deviations(options: Options, n: int) -> Iterator[Change]:
    """n or n - 1, eps inside or outside, another eps, and all together, fewest differences first."""
    words: dict[str, Callable[[Any], str]] = {
        "unbiased": lambda unbiased: f"{BY[unbiased]} = {n - unbiased}",
        "eps_outside": PLACE.__getitem__,
        "eps": "{:g}".format,
    }
    does = {"unbiased": "divides the variance", "eps_outside": "adds eps", "eps": "takes eps ="}
    found = []
    for values in product((True, False), (True, False), dict.fromkeys((options["eps"], *USUAL_EPS))):
        others = {name: other for name, other in zip(does, values, strict=True) if other != options[name]}
        if others and (values[-1] or "eps_outside" not in others):  # an eps of 0 is added nowhere
            description = _joined([f"{does[name]} {words[name](other)}" for name, other in others.items()])
            canonical_description = _joined([words[name](options[name]) for name in others])
            found.append(Change(description, canonical_description, others))
    yield from sorted(found, key=lambda change: len(change.options))


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    x = o["x"]
    yield from _deviations(options, torch.Size([x.shape[axis] for axis in options["over"]]).numel())
    if "weight" in o:
        yield Change("leaves the gain out", "multiplies by it", operands=without("weight"))
        yield Change("multiplies by 1 + gain", "by the gain", operands=on(lambda gain: 1 + gain, "weight"))
        yield Change("multiplies by the gain's negative", "by the gain", operands=on(torch.neg, "weight"))
        yield Change("multiplies by the gain twice", "once", operands=on(torch.square, "weight"))
    if "bias" in o:
        yield from bias_changes("bias", "the bias")
    if "weight" in o and "bias" in o:
        yield Change("leaves gain and bias out", "applies both", operands=without("weight", "bias"))
        early = on(lambda bias: bias * o["weight"], "bias")
        yield Change("adds the bias before the gain", "after it", operands=early)
    rms, centred = {"centred": False, "by_mean_square": True}, {"centred": True, "by_mean_square": False}
    if not options["centred"]:
        yield Change("subtracts the mean (a layer norm)", "does not centre (an RMS norm)", centred)
    yield Change("does not centre (an RMS norm)", "subtracts the mean", rms)
    uncentred = "does not subtract the mean before it divides by the deviation"
    yield Change(uncentred, "subtracts it", {"centred": False})
    yield Change("divides by the root of the mean square", "by the deviation", {"by_mean_square": True})
    yield Change("divides by the variance", "by its root", {"root": False})
    if options["over"] == (-1,):
        yield from _statistics(options)
    yield Change("does not normalise, only applies gain and bias", "normalises", {"normalised": False})
    for axis in range(-x.ndim, -1):
        description = f"normalises over axis {axis + x.ndim}"
        yield Change(description, "over the last axis", {"over": (axis,)}, needs_whole_tensor=True)
    for axis in range(-x.ndim, -1):
        words = f"over axis {axis + x.ndim}", "over the last axis"
        yield Change(f"takes the mean {words[0]}", words[1], {"centred_over": (axis,)}, needs_whole_tensor=True)
        for unbiased, by in BY.items():
            spread: Statistic = partial(_deviation, axis, unbiased)
            description = f"takes the deviation, {by}, {words[0]}"
            yield Change(description, words[1], {"spread_by": spread}, needs_whole_tensor=True)
    for axis in range(-x.ndim, -1):
        description, axes = f"normalises over the last {-axis} axes together", tuple(range(axis, 0))
        yield Change(description, "over the last", {"over": axes}, needs_whole_tensor=True)
    for parts in (2, 4, 8):
        yield Change(f"normalises {parts} parts of the last axis separately", "all of it", {"parts": parts})
    yield Change("normalises twice", "once", operands=lambda o: o.having(x=NORM(o)))


def _statistics(options: Options) -> Iterator[Change]:
    """Another number subtracted, or divided by, than the mean and the deviation."""
    if options["centred"]:
        for words, centre in CENTRES.items():
            yield Change(f"subtracts {words}", "the mean", {"centre": centre})
    spread_of = "the deviation" if options["centred"] else "the root of the mean square"
    for words, spread in SPREADS.items():
        yield Change(f"divides by {words}", f"by {spread_of}", {"spread_by": spread})


def _deviation(axis: int, unbiased: bool, x: Tensor) -> Tensor:
    return (x.square().sum(axis, keepdim=True) / (x.shape[axis] - unbiased)).sqrt()


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    own = NORM.options(o)
    forms = [{"unbiased": u, "eps_outside": e} for u, e in product((True, False), (True, False))]
    for form in sorted(forms, key=lambda form: sum(value != own[name] for name, value in form.items())):
        words = f"takes eps = {{}} {PLACE[form['eps_outside']]}, the variance divided {BY[form['unbiased']]}"
        yield NORM.fit(o, "eps", words, f"{own['eps']:g}", **form)
    if "weight" in o:
        more = "multiplies by {} + gain"
        yield FittedParameter(more, "by the gain", 0.0, lambda more: NORM(o.having(weight=more + o["weight"])))
    n = o["x"].shape[-1] - own["unbiased"]
    yield NORM.fit(o, "count", "divides the sum of squares by {}", f"by {n}", start=float(n))
    yield NORM.fit(o, "limit", "clips what it normalised to {}", "does not", start=0.9)


OPERATIONS = {
    "layer_norm": NORM.definition(_changes, window_rule=rowwise("x", mixes=1), fitted_parameters=_fitted_parameters)
}
