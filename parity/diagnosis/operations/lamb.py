"""One update of one parameter by LAMB with a floor under its trust ratio.

    step = m / (sqrt(v) + eps) + decay w;  trust = max(min_trust, min(|w|, max_norm) / |step|), with 1 for the ratio
    where either norm is 0;  `lamb`: lr factor trust step;  `moved`: w minus that, the role `update`

Roles: w before the update, m and v after theirs; `g`, the gradient, for variants. Settings: `lr`, `factor` (of the
schedule, 1), `other_factors` (words to the factor that they describe), `eps`, `weight_decay`, `min_trust`, `max_norm`
(None: no limit), `update`, its number from 1, `betas`, `parts` (name and shape, of a vector of several parameters).
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant
from parity.diagnosis.formula import Change, Formula, Options, on, unchanged

NUMBERS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "weight_decay": ("takes a weight decay of", (0.0, 1.2e-6, 0.01, 1e-4, 1e-5, 1e-3, 0.1, 0.05)),
    "min_trust": ("takes a floor under the trust ratio of", (0.0, 0.25, 0.1, 0.5, 0.01)),
    "max_norm": ("takes a limit of the weight's norm of", (None, 10.0, 1.0, 5.0, 100.0)),
    "eps": ("takes eps =", (1e-6, 1e-8, 1e-5, 1e-12, 1e-3, 1e-7, 1e-10, 0.0)),
}
"""By option, how to describe another value, and other values to try."""

Norm = Callable[[Tensor], Tensor]
NORMS: dict[str, Norm] = {
    "the sum of sizes": lambda x: x.abs().sum(),
    "the root of the mean square": lambda x: x.square().mean().sqrt(),
    "the mean size": lambda x: x.abs().mean(),
    "the largest size": lambda x: x.abs().max(),
    "the norm's square": lambda x: x.square().sum(),
}
"""What may be taken for the norm of a weight or a step."""


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
    weight_norm: Norm = torch.linalg.vector_norm,
    step_norm: Norm = torch.linalg.vector_norm,
    of_ratio: Callable[[Tensor], Tensor] = unchanged,
    norm_eps: float = 0.0,  # added to the step's norm
    deviation: Callable[[Tensor], Tensor] = torch.sqrt,  # of v
) -> Tensor:
    """What is subtracted from w."""
    w, step = o["w"], o["m"] / ((o["v"] + eps).sqrt() if eps_inside else deviation(o["v"]) + eps)
    decayed = step + weight_decay * w
    measured = step if decoupled or not decay_in_norm else decayed

    def trust(weight: Tensor, move: Tensor) -> Tensor:
        limit = math.inf if max_norm is None else max_norm
        over, under = weight_norm(weight).clamp(max=limit), step_norm(move) + norm_eps
        ratio = torch.where((over == 0) | (under == 0), 1.0, under / over if inverse else over / under)
        return of_ratio(ratio).clamp(min_trust, max_trust).expand(weight.shape)

    pairs = zip(*(torch.split(t.flatten(), list(sizes or [t.numel()])) for t in (w, measured)), strict=True)
    ratio = torch.cat([trust(*pair) for pair in pairs]).reshape(w.shape)
    return lr * factor * (ratio * step + weight_decay * w if decoupled else ratio * decayed)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    lr, factor = options["lr"], options["factor"]
    for words, other in o.setting("other_factors", {}).items():
        description = f"scales its rate by ({other:g}), {words}"
        yield Change(description, f"by ({factor:g})", {"factor": other}, zeros=not other)
    yield Change("does not follow the schedule", f"scales its rate by ({factor:g})", {"factor": 1.0})
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
    yield Change("takes no trust ratio (Adam) or limits it to 1", "takes one", no_trust)
    yield Change("takes the trust ratio upside down", "|w| / |step|", {"inverse": True})
    always = {"max_trust": options["min_trust"]}
    at_floor = "is at the floor of its trust ratio, as of a smaller norm of the weight or a larger one of the step"
    yield Change(at_floor, "is above it", always)
    for words, norm in NORMS.items():
        yield Change(f"takes {words} for the norm of the step", "its norm", {"step_norm": norm})
        yield Change(f"takes {words} for the norm of the weight", "its norm", {"weight_norm": norm})
        both_norms = {"step_norm": norm, "weight_norm": norm}
        yield Change(f"takes {words} for the norms of weight and step", "their norms", both_norms)
    yield Change("takes the root of the trust ratio", "the ratio", {"of_ratio": torch.sqrt})
    yield Change("takes the square of the trust ratio", "the ratio", {"of_ratio": torch.square})
    for words, divisor in (("the update's number", number), ("the root of the update's number", math.sqrt(number))):
        yield Change(f"divides its rate by {words}", "does not", {"lr": lr / divisor})
    adam = "takes no trust ratio and corrects both moments (Adam)"
    yield Change(adam, "LAMB's step", no_trust, both)
    yield Change("divides by v", "by its root", operands=on(torch.square, "v"))
    yield Change("adds eps inside the root", "outside", {"eps_inside": True})
    looking_ahead = "looks one step ahead (Nesterov)"
    yield Change(
        looking_ahead, "steps by the moment", operands=partial(_looking_ahead, o.setting("betas", (0.9, 0.999))[0])
    )
    larger = "divides by the root of the larger of v and the gradient's square"
    yield Change(larger, "by that of v", operands=lambda o: o.having(v=torch.maximum(o["v"], o["g"].square())))
    agreeing = "steps only where moment and gradient have one sign (cautious)"
    yield Change(agreeing, "everywhere", operands=lambda o: o.having(m=o["m"] * (o["m"] * o["g"] > 0)))
    yield Change("steps by the gradient", "by its moment", operands=lambda o: o.having(m=o["g"]))
    yield Change("steps by the moment's sign", "by the moment over sqrt(v)", {"eps": 0.0}, _signs)
    if options["weight_decay"]:
        words = "takes a weight decay times the learning rate"
        yield Change(words, _short(options["weight_decay"]), {"weight_decay": lr * options["weight_decay"]})
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


def _corrected(**divisors: float) -> Callable[[Operands], Operands]:
    """The `Change.operands` that divide moments, by role."""
    return lambda o: o.having(**{role: o[role] / divisor for role, divisor in divisors.items()})


def _looking_ahead(beta: float, o: Operands) -> Operands:
    return o.having(m=beta * o["m"] + (1 - beta) * o["g"])


def _signs(o: Operands) -> Operands:
    return o.having(m=o["m"].sign(), v=torch.ones_like(o["v"]))


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    own = LAMB.options(o)
    scaled = "gives its result scaled by {} (another learning rate or schedule)"
    yield FittedParameter(scaled, "as it is", 1.0, lambda rate: LAMB(o, lr=rate * own["lr"]))
    for option in ("min_trust", "eps", "weight_decay"):
        yield LAMB.fit(o, option, f"{NUMBERS[option][0]} {{}}", _short(own[option]))
    yield LAMB.fit(
        o, "max_trust", "takes {} as the largest trust ratio", "none", start=0.5 * (own["min_trust"] or 0.01)
    )
    yield LAMB.fit(o, "norm_eps", "adds {} to the step's norm", "does not")

    def power(exponent: float) -> Tensor:
        return LAMB(o, deviation=lambda v: v**exponent)

    yield FittedParameter("divides by v^{}", "by the root of v", 0.5, power)


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
