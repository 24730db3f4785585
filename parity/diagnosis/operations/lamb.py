"""One update of one parameter by LAMB with a floor under its trust ratio.

    step = m / (sqrt(v) + eps) + decay w;  trust = max(min_trust, min(|w|, max_norm) / |step|), with 1 for the ratio
    where either norm is 0;  `lamb`: lr factor trust step;  `moved`: w minus that, the role `update`

Roles: w before the update, m and v after theirs; `g`, the gradient, for variants. Settings: `lr`, `factor` (of the
schedule, 1), `other_factors` (words to the factor that they describe), `eps`, `weight_decay`, `min_trust`, `max_norm`
(None: no limit), `update`, its number from 1, `betas`, `parts` (name and shape, of a vector of several parameters).
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant
from parity.diagnosis.formula import Change, Formula, Options, on

NUMBERS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "weight_decay": ("takes a weight decay of", (0.0, 1.2e-6, 0.01, 1e-4, 1e-5, 1e-3, 0.1, 0.05)),
    "min_trust": ("takes a floor under the trust ratio of", (0.0, 0.25, 0.1, 0.5, 0.01)),
    "max_norm": ("takes a limit of the weight's norm of", (None, 10.0, 1.0, 5.0, 100.0)),
    "eps": ("takes eps =", (1e-6, 1e-8, 1e-5, 1e-12, 1e-3, 1e-7, 1e-10, 0.0)),
}
"""By option, how to describe another value, and other values to try."""


def _compute(
    o: Operands,
    lr: float = 1e-3,
    factor: float = 1.0,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    min_trust: float = 0.0,
    max_norm: float | None = None,
    eps_inside: bool = False,
    decoupled: bool = False,
    decay_in_norm: bool = True,
    max_trust: float = math.inf,
    inverse: bool = False,  # the trust ratio upside down
    sizes: tuple[int, ...] = (),  # of parts that have a trust ratio each
) -> Tensor:
    """What is subtracted from w."""
    w, step = o["w"], o["m"] / ((o["v"] + eps).sqrt() if eps_inside else o["v"].sqrt() + eps)
    decayed = step + weight_decay * w
    measured = step if decoupled or not decay_in_norm else decayed

    def trust(weight: Tensor, move: Tensor) -> Tensor:
        limit = math.inf if max_norm is None else max_norm
        over, under = torch.linalg.vector_norm(weight).clamp(max=limit), torch.linalg.vector_norm(move)
        ratio = torch.where((over == 0) | (under == 0), 1.0, under / over if inverse else over / under)
        return ratio.clamp(min_trust, max_trust).expand(weight.shape)

    pairs = zip(*(torch.split(t.flatten(), list(sizes or [t.numel()])) for t in (w, measured)), strict=True)
    ratio = torch.cat([trust(*pair) for pair in pairs]).reshape(w.shape)
    return lr * factor * (ratio * step + weight_decay * w if decoupled else ratio * decayed)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    lr, factor = options["lr"], options["factor"]
    for words, other in o.setting("other_factors", {}).items():
        description = f"scales its rate by {other:g}, {words}"
        yield Change(description, f"by {factor:g}", {"factor": other}, zeros=not other)
    yield Change("does not follow the schedule", f"scales its rate by {factor:g}", {"factor": 1.0})
    for number in (10.0, 0.1, 2.0, 0.5):
        yield Change(f"takes {number:g} times the learning rate", "the rate itself", {"lr": lr * number})
    yield Change("adds the step", "subtracts it", {"lr": -lr})
    number = int(o.setting("update", 1))
    first, second = (1 - beta**number for beta in o.setting("betas", (0.9, 0.999)))
    corrections = {
        "both moments": (both := _corrected(m=first, v=second)),
        "the first moment alone": _corrected(m=first),
        "the second moment alone": _corrected(v=second),
    }
    for words, corrected in corrections.items():
        yield Change(f"corrects the bias of {words}, by 1 - beta^t", "does not", operands=corrected)
    no_trust = {"min_trust": 1.0, "max_trust": 1.0}
    yield Change("takes no trust ratio (Adam)", "takes one", no_trust)
    yield Change("takes the trust ratio upside down", "|w| / |step|", {"inverse": True})
    adam = "takes no trust ratio and corrects both moments (Adam)"
    yield Change(adam, "LAMB's step", no_trust, both)
    yield Change("divides by v", "by its root", operands=on(torch.square, "v"))
    yield Change("adds eps inside the root", "outside", {"eps_inside": True})
    yield Change("steps by the gradient", "by its moment", operands=lambda o: o.having(m=o["g"]))
    yield Change("steps by the moment's sign", "by the moment over sqrt(v)", {"eps": 0.0}, _signs)
    yield Change("leaves the decay out of the norm of the step", "counts it", {"decay_in_norm": False})
    sizes = tuple(torch.Size(shape).numel() for _, shape in o.setting("parts", ()))
    yield Change("takes a trust ratio for each part of the vector", "one for all", {"sizes": sizes})
    for name, (words, values) in NUMBERS.items():
        for value in values:
            yield Change(f"{words} {_short(value)}", _short(options[name]), {name: value})
    for decay in dict.fromkeys((options["weight_decay"], *NUMBERS["weight_decay"][1])):
        if decay:
            description = f"lets weights decay by {decay:g} beside the step, not within it"
            yield Change(description, "within it", {"weight_decay": decay, "decoupled": True})
    floor = {"max_trust": options["min_trust"]}
    yield Change("takes the floor under the trust ratio always", "the ratio", floor)


def _corrected(**divisors: float) -> Callable[[Operands], Operands]:
    """The `Change.operands` that divide moments, by role."""
    return lambda o: o.having(**{role: o[role] / divisor for role, divisor in divisors.items()})


def _signs(o: Operands) -> Operands:
    return o.having(m=o["m"].sign(), v=torch.ones_like(o["v"]))


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    for option in ("eps", "weight_decay"):
        yield LAMB.fit(o, option, f"{NUMBERS[option][0]} {{}}", _short(LAMB.options(o)[option]))


def _moved_variants(o: Operands) -> Iterator[Variant]:
    w, update = o["w"], o["update"]
    yield Variant("adds the update", "subtracts it", lambda: w + update)
    yield Variant("does not move the weight", "moves it", lambda: w.clone())
    yield Variant("subtracts the update twice", "once", lambda: w - 2 * update)


LAMB = Formula(_compute)
OPERATIONS = {
    "lamb": LAMB.definition(
        _changes, fitted_parameters=_fitted_parameters, scale_meaning="another learning rate or schedule"
    ),
    "moved": OperationDefinition(lambda o: o["w"] - o["update"], _moved_variants),
}
