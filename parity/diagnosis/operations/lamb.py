"""One update of one parameter by LAMB with a floor under its trust ratio.

    step = m / (sqrt(v) + eps) + decay w;  trust = max(min_trust, min(|w|, max_norm) / |step|), with 1 for the ratio
    where either norm is 0;  `lamb`: lr factor trust step;  `moved`: w minus that, the role `update`

Roles: w before the update, m and v after theirs; `g`, the gradient, for variants. Settings: `lr`, `factor` (of the
schedule, 1), `other_factors` (words to the factor that they describe), `eps`, `weight_decay`, `min_trust`, `max_norm`
(None: no limit), `step` from 1, `betas`, `parts` (name and shape, of a vector of several parameters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import Change, FittedParameter, Operands, OperationDefinition, Variant, vary

MIN_TRUSTS = (0.0, 0.25, 0.1, 0.5, 0.01)
MAX_NORMS = (None, 10.0, 1.0, 5.0, 100.0)
EPS = (1e-6, 1e-8, 1e-5, 1e-12, 1e-3, 1e-7, 1e-10, 0.0)
DECAYS = (1.2e-6, 0.01, 1e-4, 1e-5, 1e-3, 0.1, 0.05)


@dataclass(frozen=True)
class Options:
    """How the update is made."""

    lr: float
    eps: float
    decay: float
    min_trust: float
    max_norm: float | None
    eps_inside: bool = False
    decoupled: bool = False
    decay_in_norm: bool = True
    corrected: tuple[float, float] = (1.0, 1.0)
    """What m and v are divided by."""
    trust: str = "ratio"
    """"ratio"; "one"; "inverse"; "floor", the lowest trust alone."""
    by_parts: tuple[int, ...] = ()
    root: bool = True
    direction: str = "m"
    """"m", "g" or "sign"."""


def compute(o: Operands, options: Options) -> Tensor:
    """What is subtracted from w."""
    w, step = o["w"], _step(o, options)
    decayed = step + options.decay * w
    if options.decoupled:
        return options.lr * (_trust(w, step, options) * step + options.decay * w)
    return options.lr * _trust(w, decayed if options.decay_in_norm else step, options) * decayed


def _step(o: Operands, options: Options) -> Tensor:
    v = o["v"] / options.corrected[1]
    size = (v + options.eps).sqrt() if options.eps_inside else (v.sqrt() if options.root else v) + options.eps
    m = o["g"] if options.direction == "g" else o["m"] / options.corrected[0]
    return m.sign() if options.direction == "sign" else m / size


def _trust(w: Tensor, step: Tensor, options: Options) -> Tensor:
    """A scalar, or one for every number where each part has its own."""
    if options.by_parts:
        pairs = zip(
            torch.split(w.flatten(), list(options.by_parts)),
            torch.split(step.flatten(), list(options.by_parts)),
            strict=True,
        )
        each = [_ratio(part, move, options).expand(part.shape) for part, move in pairs]
        return torch.cat(each).reshape(w.shape)
    return _ratio(w, step, options)


def _ratio(w: Tensor, step: Tensor, options: Options) -> Tensor:
    weight, move = torch.linalg.vector_norm(w), torch.linalg.vector_norm(step)
    if options.max_norm is not None:
        weight = weight.clamp(max=options.max_norm)
    one = torch.ones_like(weight)
    if options.trust in ("one", "floor"):
        return one if options.trust == "one" else one * options.min_trust
    ratio = move / weight if options.trust == "inverse" else weight / move
    ratio = torch.where((weight == 0) | (move == 0), one, ratio)
    return ratio.clamp(options.min_trust)


def _options(o: Operands) -> Options:
    setting = o.setting
    lr = setting("lr", 1e-3) * setting("factor", 1.0)
    return Options(
        lr, setting("eps", 1e-6), setting("weight_decay", 0.0), setting("min_trust", 0.0), setting("max_norm", None)
    )


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    yield from _rates(o, options)
    step = int(o.setting("step", 1))
    beta1, beta2 = o.setting("betas", (0.9, 0.999))
    first, second = 1 - beta1**step, 1 - beta2**step
    parts = tuple(torch.Size(shape).numel() for _, shape in o.setting("parts", ()))
    both = (first, second)
    corrections = {
        "both moments": both,
        "the first moment alone": (first, 1.0),
        "the second moment alone": (1.0, second),
    }
    for words, corrected in corrections.items():
        yield Change(f"corrects the bias of {words}, by 1 - beta^t", "does not", {"corrected": corrected})
    yield Change("takes no trust ratio (Adam)", "takes one", {"trust": "one"})
    yield Change("takes the trust ratio upside down", "|w| / |step|", {"trust": "inverse"})
    adam = {"trust": "one", "corrected": both}
    yield Change("takes no trust ratio and corrects both moments (Adam)", "LAMB's step", adam)
    yield Change("divides by v", "by its root", {"root": False})
    yield Change("adds eps inside the root", "outside", {"eps_inside": True})
    yield Change("steps by the gradient", "by its moment", {"direction": "g"})
    yield Change("steps by the moment's sign", "by the moment over sqrt(v)", {"direction": "sign"})
    yield Change("leaves the decay out of the norm of the step", "counts it", {"decay_in_norm": False})
    if parts:
        yield Change("takes a trust ratio for each part of the vector", "one for all", {"by_parts": parts})
    yield from _numbers(options)
    yield Change("takes the floor under the trust ratio always", "the ratio", {"trust": "floor"})


def _rates(o: Operands, options: Options) -> Iterator[Change]:
    """Other learning rates and schedules."""
    factor, lr = o.setting("factor", 1.0), o.setting("lr", 1e-3)
    for words, other in o.setting("other_factors", {}).items():
        description = f"scales its rate by {other:g}, {words}"
        yield Change(description, f"by {factor:g}", {"lr": lr * other}, zeros=not other)
    if factor != 1.0:
        yield Change("does not follow the schedule", f"scales its rate by {factor:g}", {"lr": lr})
    for number in (10.0, 0.1, 2.0, 0.5):
        yield Change(f"takes {number:g} times the learning rate", "the rate itself", {"lr": options.lr * number})
    yield Change("adds the step", "subtracts it", {"lr": -options.lr})


def _numbers(options: Options) -> Iterator[Change]:
    """Settings of other values."""
    for name, words, values in (
        ("decay", "a weight decay of", (0.0, *DECAYS)),
        ("min_trust", "a floor under the trust ratio of", MIN_TRUSTS),
        ("max_norm", "a limit of the weight's norm of", MAX_NORMS),
        ("eps", "eps =", EPS),
    ):
        own = getattr(options, name)
        for value in values:
            yield Change(f"takes {words} {_short(value)}", _short(own), {name: value})
    for decay in dict.fromkeys((options.decay, *DECAYS)):
        description = f"lets weights decay by {decay:g} beside the step, not within it"
        yield Change(description, "within it", {"decay": decay, "decoupled": True})


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _variants(o: Operands) -> Iterator[Variant]:
    options = _options(o)
    yield from vary(compute, o, options, _changes(o, options))


def _moved_variants(o: Operands) -> Iterator[Variant]:
    w, update = o["w"], o["update"]
    yield Variant("adds the update", "subtracts it", lambda: w + update)
    yield Variant("does not move the weight", "moves it", lambda: w.clone())
    yield Variant("subtracts the update twice", "once", lambda: w - 2 * update)


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    options = _options(o)
    for field, words in (("eps", "eps ="), ("decay", "a weight decay of")):
        own = getattr(options, field)
        compute_with = partial(lambda field, value: compute(o, replace(options, **{field: value})), field)
        yield FittedParameter(f"takes {words} {{}}", _short(own), own, compute_with)


LAMB = OperationDefinition(
    lambda o: compute(o, _options(o)),
    _variants,
    fitted_parameters=_fitted_parameters,
    scale_meaning="another learning rate or schedule",
)
MOVED = OperationDefinition(lambda o: o["w"] - o["update"], _moved_variants)
