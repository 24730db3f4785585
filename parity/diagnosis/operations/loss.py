"""The loss: the mean negative log likelihood of targets, in nats.

Roles: logits (..., V), targets (...) int64 counted from 0. Setting: `ignored`, a target left out of the mean (-1).
"""

import math
from collections.abc import Iterator
from functools import partial
from operator import itemgetter

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands
from parity.diagnosis.formula import Change, Formula, Options, having, on


def _compute(
    o: Operands,
    ignored: int = -1,
    divisor: int | None = None,
    normalised: bool = True,
    smoothing: float = 0.0,
    scale: float = 1.0,  # of the logits
    focus: float = 0.0,  # the power of 1 - p by which a focal loss weighs
    total: float = 0.0,  # times the mean square of the logits' log sum exp, which is added
) -> Tensor:
    """The sum over the targets that count, divided by their number or by `divisor`."""
    logits, targets = scale * o["logits"], o["targets"]
    counted = targets != ignored
    scores = logits.log_softmax(-1) if normalised else logits
    picked = scores.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    nats = (smoothing - 1) * picked - smoothing * scores.mean(-1) + total * logits.logsumexp(-1).square()
    if focus:
        nats = (1 - picked.exp()) ** focus * nats
    return torch.where(counted & (targets >= 0), nats, 0.0).sum() / (divisor or counted.sum())


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    logits, targets, ignored = o["logits"], o["targets"], options["ignored"]
    counted, vocab = targets != ignored, logits.shape[-1]
    yield Change("takes the sum over the targets", "the mean", {"divisor": 1})
    over_time = "takes the mean over time alone, the sum over the batch"
    yield Change(over_time, "over both", {"divisor": len(targets)})
    over_batch = "takes the mean over the batch alone, the sum over time"
    yield Change(over_batch, "over both", {"divisor": targets.shape[-1]})
    for base in (2, 10):
        other = partial(torch.div, other=math.log(base))
        yield Change(f"takes logarithms to base {base}", "natural ones", result=other)
    yield Change("takes the likelihood's logarithm without the minus", "its negative", result=torch.neg)
    yield Change("takes exp of the mean (the perplexity)", "the mean", result=torch.exp)
    left_out = "counts the targets that are left out in the mean"
    yield Change(left_out, f"by the {int(counted.sum())} targets", {"divisor": targets.numel()})
    for words, canonical, part in (
        ("leaves the last target out", "counts it", slice(-1)),
        ("leaves the first target out", "counts it", slice(1, None)),
        ("takes the last step's targets alone", "all of them", slice(-1, None)),
        ("takes the first sequence alone", "all of them", (slice(None), slice(1))),
    ):
        yield Change(words, canonical, operands=on(itemgetter(part), "logits", "targets"))
    yield Change("does not normalise the logits", "takes log softmax", {"normalised": False})
    yield Change("takes a softmax of the logits first", "does not", operands=on(partial(F.softmax, dim=-1), "logits"))
    none = on(lambda targets: targets.masked_fill(targets == 0, ignored), "targets")
    yield Change("leaves target 0 out", "counts it", operands=none)
    for sign, shift in (("+", 1), ("-", -1)):
        moved = torch.where(counted, (targets + shift) % vocab, targets)
        words = f"takes target {sign} 1 (0- against 1-based ids)"
        yield Change(words, "the target", operands=having(targets=moved))
    for words, shift in (("later", -1), ("earlier", 1)):
        rolled = on(partial(torch.roll, shifts=shift, dims=0), "targets")
        yield Change(f"takes the targets one step {words}", "in step", operands=rolled)
    for words, ours, theirs in (("before", slice(1, None), slice(-1)), ("after", slice(-1), slice(1, None))):
        compared = having(logits=logits[ours], targets=targets[theirs])
        description = f"compares every step's logits with the target of the step {words}"
        yield Change(description, "in step", operands=compared)
    yield Change("smooths the labels by 0.1", "does not", {"smoothing": 0.1})
    yield Change("takes the mean square error", "the likelihood", result=lambda _: _square(logits, targets))
    if targets.ndim == 2:
        words = "reads the targets batch by batch as if they lay step by step"
        yield Change(words, "step by step", operands=on(lambda t: t.mT.reshape(t.shape), "targets"))
    if "inputs" in o:
        inputs = torch.where(counted, o["inputs"], targets)
        yield Change("scores the inputs", "the targets, one step on", operands=having(targets=inputs))


def _square(logits: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(logits, F.one_hot(targets.clamp(min=0), logits.shape[-1]).to(logits.dtype))


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    yield NLL.fit(o, "smoothing", "smooths the labels by {}", "does not")
    yield NLL.fit(o, "scale", "takes the logits scaled by {}", "as they are")
    yield NLL.fit(o, "focus", "weighs each target by (1 - p)^{} (a focal loss)", "does not", start=1.0)
    yield NLL.fit(o, "total", "adds {} times the mean square of the logits' log sum exp (a z-loss)", "does not")
    yield FittedParameter("scales the mean by {}", "does not", 1.0, lambda factor: factor * NLL(o))
    yield FittedParameter("adds {} to the mean", "does not", 0.0, lambda more: NLL(o) + more)


NLL = Formula(_compute)
OPERATIONS = {"nll": NLL.definition(_changes, fitted_parameters=_fitted_parameters)}
