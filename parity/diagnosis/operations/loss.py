"""The loss: the mean negative log likelihood of targets, in nats.

Roles: logits (..., V), targets (...) int64 counted from 0. Setting: `ignored`, a target left out of the mean (-1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, for_each, instead_of


def _each(logits: Tensor, targets: Tensor) -> Tensor:
    """The negative log likelihood of every target, 0 of those below 0; (...)"""
    picked = targets.clamp(min=0)
    nats = logits.logsumexp(-1) - logits.gather(-1, picked[..., None])[..., 0]
    return torch.where(targets < 0, 0.0, nats)


def _mean(nats: Tensor, counted: Tensor) -> Tensor:
    return torch.where(counted, nats, 0.0).sum() / counted.sum()


def _compute(o: Operands) -> Tensor:
    targets = o["targets"]
    counted = targets != o.setting("ignored", -1)
    return _mean(_each(o["logits"], targets), counted)


def _variants(o: Operands) -> Iterator[Variant]:
    logits, targets = o["logits"], o["targets"]
    vocab = logits.shape[-1]
    nats, counted = _each(logits, targets), targets != o.setting("ignored", -1)
    every = torch.ones_like(counted)
    mean = _mean(nats, counted)
    divisor = f"by the {int(counted.sum())} targets"
    yield Variant("takes the sum over the targets", "the mean", lambda: nats.sum())
    means = {
        "takes the mean over time alone, the sum over the batch": lambda: nats.sum() / len(targets),
        "takes the mean over the batch alone, the sum over time": lambda: nats.sum() / targets.shape[-1],
    }
    yield from instead_of("over both", means)
    yield Variant("takes logarithms to base 2", "natural ones", lambda: mean / math.log(2))
    yield Variant("takes logarithms to base 10", "natural ones", lambda: mean / math.log(10))
    yield Variant("takes the likelihood's logarithm without the minus", "its negative", lambda: -mean)
    yield Variant("takes exp of the mean (the perplexity)", "the mean", lambda: mean.exp())
    yield Variant("counts the targets that are left out in the mean", divisor, lambda: _mean(nats, every))
    yield Variant("leaves the last target out", "counts it", lambda: _mean(nats[:-1], counted[:-1]))
    yield Variant("leaves the first target out", "counts it", lambda: _mean(nats[1:], counted[1:]))
    yield Variant("takes the last step's targets alone", "all of them", lambda: _mean(nats[-1:], counted[-1:]))
    yield Variant("takes the first sequence alone", "all of them", lambda: _mean(nats[:, :1], counted[:, :1]))
    bare, twice = partial(_unnormalised, logits, targets), partial(_each, logits.softmax(-1), targets)
    yield Variant("does not normalise the logits", "takes log softmax", lambda: _mean(bare(), counted))
    yield Variant("takes a softmax of the logits first", "does not", lambda: _mean(twice(), counted))
    yield Variant("leaves target 0 out", "counts it", lambda: _mean(nats, counted & (targets != 0)))
    for sign, shift in (("+", 1), ("-", -1)):
        other = partial(_each, logits, (targets + shift) % vocab)
        description = f"takes target {sign} 1 (0- against 1-based ids)"
        yield from for_each([other], description, "the target", lambda each: _mean(each(), counted))
    in_step = {
        "takes the targets one step later": lambda: _mean(_each(logits, targets.roll(-1, 0)), counted.roll(-1, 0)),
        "takes the targets one step earlier": lambda: _mean(_each(logits, targets.roll(1, 0)), counted.roll(1, 0)),
        "compares every step's logits with the target of the step before": (
            lambda: _mean(_each(logits[1:], targets[:-1]), counted[:-1])
        ),
        "compares every step's logits with the target of the step after": (
            lambda: _mean(_each(logits[:-1], targets[1:]), counted[1:])
        ),
    }
    yield from instead_of("in step", in_step)
    smoothed = partial(F.cross_entropy, ignore_index=-1, label_smoothing=0.1)
    flat = logits.flatten(0, -2), targets.flatten()
    yield Variant("smooths the labels by 0.1", "does not", partial(smoothed, *flat))
    yield Variant("takes the mean square error", "the likelihood", lambda: _square(logits, targets))
    if targets.ndim == 2:
        turned = targets.mT.reshape(targets.shape)
        description = "reads the targets batch by batch as if they lay step by step"
        yield Variant(description, "step by step", lambda: _mean(_each(logits, turned), counted))
    if "inputs" in o:
        inputs = o["inputs"]
        yield Variant("scores the inputs", "the targets, one step on", lambda: _mean(_each(logits, inputs), counted))


def _unnormalised(logits: Tensor, targets: Tensor) -> Tensor:
    return -logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0]


def _square(logits: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(logits, F.one_hot(targets.clamp(min=0), logits.shape[-1]).to(logits.dtype))


OPERATIONS = {"nll": OperationDefinition(_compute, _variants)}
