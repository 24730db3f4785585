"""From a gradient to an optimiser's moments.

`clipped`: g scaled so that its norm is at most the setting `limit` (None: as it is); `jointly`, by the norm of all
gradients, the role `joint`, a scalar, which may be there for variants, too; `norm_eps` is added to the norm. The
parameter, the role `w`, may be there for variants.
`moment`: beta m + (1 - beta) g; `square_moment`: beta v + (1 - beta) g^2, without m or v from zeros. Settings: `beta`;
`update`, its number from 1.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant, for_each
from parity.diagnosis.formula import Change, Formula, Options, on, unchanged

LIMITS = (0.25, 1.0, 0.5, 0.1, 2.0, 5.0, 10.0)
DECAYS = (1.2e-6, 0.01, 1e-4, 1e-5, 1e-3, 0.1)
BETAS = (0.9, 0.99, 0.999, 0.95, 0.98, 0.8, 0.5, 0.9999, 0.0)


def _clipped(
    o: Operands,
    limit: float | None = None,
    jointly: bool = False,
    norm_eps: float = 0.0,
    decay: float = 0.0,  # of the weight, added to what was clipped
    of_gradient: Callable[[Tensor], Tensor] = unchanged,
) -> Tensor:
    g = o["g"] if limit is None else o["g"] * (limit / (_norm(o, jointly) + norm_eps)).clamp(max=1.0)
    return of_gradient(g + decay * o["w"] if decay else g)


def _norm(o: Operands, jointly: bool) -> Tensor:
    return o["joint"].reshape(()) if jointly else torch.linalg.vector_norm(o["g"])


def _clipped_changes(o: Operands, options: Options) -> Iterator[Change]:
    limit, norm = options["limit"], _norm(o, options["jointly"])
    canonical = "does not clip" if limit is None else f"clips its norm to {limit:g}"
    yield Change("does not clip the gradient", canonical, {"limit": None})
    for words, of in OF_GRADIENT.items():
        yield Change(f"takes the gradient {words}", "the gradient", {"of_gradient": of})
    if "w" in o:
        for decay in DECAYS:
            yield Change(f"adds {decay:g} of the weight to the gradient", "does not", {"decay": decay})
    for other in LIMITS:
        yield Change(f"clips the gradient's norm to {other:g}", canonical, {"limit": other})
    values = dict.fromkeys((limit or 0.25, *LIMITS))
    for value in values:
        clamped = on(partial(torch.clamp, min=-value, max=value), "g")
        yield Change(f"clips every number to {value:g}", canonical, {"limit": None}, clamped)
    norms = {"each gradient by its own norm": False}
    if "joint" in o:
        norms["all gradients by their joint norm"] = True
    for value, (words, jointly), eps in product(values, norms.items(), (0.0, 1e-6)):
        norm_options = {"limit": value, "jointly": jointly, "norm_eps": eps}
        yield Change(f"clips {words} to {value:g}", canonical, norm_options)
    for value in values:
        scaled = on(partial(torch.mul, value / norm), "g")
        yield Change(f"scales the gradient to norm {value:g} even if it is smaller", canonical, {"limit": None}, scaled)
    if limit is not None and o.setting("parts", ()):
        sizes = [torch.Size(shape).numel() for _, shape in o.settings["parts"]]
        by_parts = on(partial(_by_parts, sizes, limit), "g")
        yield Change("clips each part of the vector separately", "all of it together", {"limit": None}, by_parts)


def _by_parts(sizes: list[int], limit: float, g: Tensor) -> Tensor:
    pieces = [piece * (limit / piece.norm()).clamp(max=1.0) for piece in torch.split(g.flatten(), sizes)]
    return torch.cat(pieces).reshape(g.shape)


def _averaged(old: Tensor | None, new: Tensor, beta: float) -> Tensor:
    return (1 - beta) * new if old is None else beta * old + (1 - beta) * new


def _average_variants(o: Operands, old: str, new: Tensor) -> Iterator[Variant]:
    """Variants of a moving average of `new`; `old` is the role of the average before."""
    beta, before = o.settings["beta"], o.get(old)
    others = [other for other in BETAS if other != beta]
    yield from for_each(others, "takes beta = {:g}", f"{beta:g}", lambda other: _averaged(before, new, other))
    kept = torch.zeros_like(new) if before is None else before
    average = partial(_averaged, kept, new, beta)
    yield Variant("adds all of the new, not 1 - beta of it", "1 - beta of it", lambda: beta * kept + new)
    yield Variant("exchanges beta and 1 - beta", "does not", lambda: _averaged(kept, new, 1 - beta))
    yield Variant(f"starts {old} from zeros in every update", "from what came before", lambda: (1 - beta) * new)
    yield Variant(f"adds {old} without beta", "beta of it", lambda: kept + (1 - beta) * new)
    yield Variant(f"does not update {old}", "updates it", lambda: kept.clone())
    correction = 1 - beta ** int(o.setting("update", 1))
    yield Variant(f"corrects the bias of {old}, by 1 - beta^t", "does not", lambda: average() / correction)
    yield Variant("takes the new one's negative", "the new one", lambda: _averaged(kept, -new, beta))
    yield Variant("keeps the larger of old and new", "the average", lambda: torch.maximum(kept, average()))
    yield Variant("looks one step ahead (Nesterov)", "does not", lambda: _averaged(average(), new, beta))


OF_GRADIENT: dict[str, Callable[[Tensor], Tensor]] = {
    "less its mean": lambda g: g - g.mean(),
    "less the mean of each row": lambda g: g - g.flatten(1).mean(1).reshape(-1, *[1] * (g.ndim - 1)),
    "over its largest size": lambda g: g / g.abs().max(),
    "over its root mean square": lambda g: g / g.square().mean().sqrt(),
}
"""What may be averaged in the gradient's place."""


def _moment_variants(o: Operands) -> Iterator[Variant]:
    g, beta = o["g"], o.settings["beta"]
    yield from _average_variants(o, "m", g)
    for words, of in OF_GRADIENT.items():
        yield Variant(f"averages the gradient {words}", "the gradient", partial(_averaged_of, o, "m", of))
    yield Variant("averages the gradient's signs", "the gradient", lambda: _averaged(o.get("m"), g.sign(), beta))
    if "w" in o:
        decays = dict.fromkeys((o.setting("weight_decay", 0.0) or DECAYS[0], *DECAYS))
        more = "adds {:g} of the weight to the gradient"
        yield from for_each(decays, more, "does not", lambda d: _averaged(o.get("m"), g + d * o["w"], beta))


def _averaged_of(o: Operands, old: str, of: Callable[[Tensor], Tensor]) -> Tensor:
    return _averaged(o.get(old), of(o["g"]), o.settings["beta"])


def _square_of(of: Callable[[Tensor], Tensor], g: Tensor) -> Tensor:
    return of(g).square()


def _square_variants(o: Operands) -> Iterator[Variant]:
    g, v, beta = o["g"], o.get("v"), o.settings["beta"]
    yield from _average_variants(o, "v", g.square())
    yield Variant("averages the gradient, not its square", "its square", lambda: _averaged(v, g, beta))
    yield Variant("averages the gradient's size, not its square", "its square", lambda: _averaged(v, g.abs(), beta))
    for words, of in OF_GRADIENT.items():
        other = partial(_averaged_of, o, "v", partial(_square_of, of))
        yield Variant(f"averages the square of the gradient {words}", "of the gradient", other)
    mean = g.square().mean().expand_as(g)
    every = "averages the mean square of all the gradient"
    yield Variant(every, "each square", lambda: _averaged(v, mean, beta))
    if "m" in o:
        m, squared = o["m"], "averages the square of the first moment"
        yield Variant(squared, "of the gradient", lambda: _averaged(v, m.square(), beta))
        yield Variant("averages the square of g - m", "of g", lambda: _averaged(v, (g - m).square(), beta))


def _clipped_fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    limit, norm = o.setting("limit", None), _norm(o, o.setting("jointly", False))
    to = "does not clip" if limit is None else f"to {limit:g}"
    yield FittedParameter("clips the gradient's norm to {}", to, limit or 1.0, lambda x: o["g"] * x / norm, 0.0)


def _average_of(
    old: str, new: Callable[[Tensor], Tensor], variants: Callable[[Operands], Iterator[Variant]]
) -> OperationDefinition:
    def compute(o: Operands, beta: float) -> Tensor:
        return _averaged(o.get(old), new(o["g"]), beta)

    def fitted(o: Operands) -> Iterator[FittedParameter]:
        beta = o.settings["beta"]
        yield FittedParameter("takes beta = {}", f"{beta:g}", beta, partial(compute, o), 0.0, 1.0)

    return OperationDefinition(lambda o: compute(o, o.settings["beta"]), variants, fitted_parameters=fitted)


OPERATIONS = {
    "clipped": Formula(_clipped).definition(_clipped_changes, fitted_parameters=_clipped_fitted_parameters),
    "moment": _average_of("m", unchanged, _moment_variants),
    "square_moment": _average_of("v", torch.square, _square_variants),
}
