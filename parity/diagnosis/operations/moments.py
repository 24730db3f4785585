"""The gradient's way into an optimiser's moments.

`clipped`: g scaled so that its norm is at most the setting `limit` (None: as it is); `jointly`, by the norm of all
gradients, the role `joint`, a scalar, which may be there for variants, too; `norm_eps` is added to the norm.
`moment`: beta m + (1 - beta) g; `square_moment`: beta v + (1 - beta) g^2, without m or v from zeros. Settings: `beta`;
`step`, the number of the update from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

import torch
from torch import Tensor

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant, for_each

LIMITS = (0.25, 1.0, 0.5, 0.1, 2.0, 5.0, 10.0)
BETAS = (0.9, 0.99, 0.999, 0.95, 0.98, 0.8, 0.5, 0.9999, 0.0)


def _norm(o: Operands) -> Tensor:
    return o["joint"].reshape(()) if o.setting("jointly", False) else torch.linalg.vector_norm(o["g"])


def _to(o: Operands, limit: float | None, norm: Tensor, norm_eps: float | None = None) -> Tensor:
    if limit is None:
        return o["g"]
    norm = norm + (o.setting("norm_eps", 0.0) if norm_eps is None else norm_eps)
    return o["g"] * (limit / norm).clamp(max=1.0)


def _clipped_variants(o: Operands) -> Iterator[Variant]:
    limit, g = o.setting("limit", None), o["g"]
    canonical = "does not clip" if limit is None else f"clips its norm to {limit:g}"
    norms = {"each gradient by its own norm": torch.linalg.vector_norm(g)}
    if "joint" in o:
        norms["all gradients by their joint norm"] = o["joint"].reshape(())
    if limit is not None:
        yield Variant("does not clip the gradient", canonical, lambda: g.clone())
    others = [other for other in LIMITS if other != limit]
    yield from for_each(others, "clips the gradient's norm to {:g}", canonical, lambda other: _to(o, other, _norm(o)))
    values = dict.fromkeys((limit or 0.25, *LIMITS))
    yield from for_each(values, "clips every number to {:g}", canonical, lambda value: g.clamp(-value, value))
    for value, (words, norm), eps in product(values, norms.items(), (0.0, 1e-6)):
        yield Variant(f"clips {words} to {value:g}", canonical, partial(_to, o, value, norm, eps))
    scaled = "scales the gradient to norm {:g} even if it is smaller"
    yield from for_each(values, scaled, canonical, lambda value: g * value / _norm(o))
    parts = o.setting("parts", ())
    if parts and limit is not None:
        sizes = [torch.Size(shape).numel() for _, shape in parts]
        by_parts = partial(_by_parts, g, sizes, limit)
        yield Variant("clips each part of the vector by itself", "all of it together", by_parts)


def _by_parts(g: Tensor, sizes: list[int], limit: float) -> Tensor:
    pieces = [piece * (limit / piece.norm()).clamp(max=1.0) for piece in torch.split(g.flatten(), sizes)]
    return torch.cat(pieces).reshape(g.shape)


def _averaged(old: Tensor | None, new: Tensor, beta: float) -> Tensor:
    return (1 - beta) * new if old is None else beta * old + (1 - beta) * new


def _average_variants(o: Operands, old: str, new: Tensor) -> Iterator[Variant]:
    """Of a moving average of `new`, whose role is `old`."""
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
    correction = 1 - beta ** int(o.setting("step", 1))
    yield Variant(f"corrects the bias of {old}, by 1 - beta^t", "does not", lambda: average() / correction)
    yield Variant("takes the new one's negative", "the new one", lambda: _averaged(kept, -new, beta))
    yield Variant("keeps the larger of old and new", "the average", lambda: torch.maximum(kept, average()))
    yield Variant("looks one step ahead (Nesterov)", "does not", lambda: _averaged(average(), new, beta))


def _moment_variants(o: Operands) -> Iterator[Variant]:
    g, beta = o["g"], o.settings["beta"]
    yield from _average_variants(o, "m", g)
    yield Variant("averages the gradient's signs", "the gradient", lambda: _averaged(o.get("m"), g.sign(), beta))
    if "w" in o:
        decays = dict.fromkeys((o.setting("weight_decay", 0.0), 1.2e-6, 0.01, 1e-4, 0.1))
        yield from for_each(
            (decay for decay in decays if decay),
            "adds {:g} of the weight to the gradient",
            "does not",
            lambda decay: _averaged(o.get("m"), g + decay * o["w"], beta),
        )


def _square_variants(o: Operands) -> Iterator[Variant]:
    g, v, beta = o["g"], o.get("v"), o.settings["beta"]
    yield from _average_variants(o, "v", g.square())
    yield Variant("averages the gradient, not its square", "its square", lambda: _averaged(v, g, beta))
    yield Variant("averages the gradient's size, not its square", "its square", lambda: _averaged(v, g.abs(), beta))
    mean = g.square().mean().expand_as(g)
    every = "averages the mean square of all the gradient"
    yield Variant(every, "every square by itself", lambda: _averaged(v, mean, beta))
    if "m" in o:
        m = o["m"]
        yield Variant(
            "averages the square of the first moment", "of the gradient", lambda: _averaged(v, m.square(), beta)
        )
        yield Variant("averages the square of g - m", "of g", lambda: _averaged(v, (g - m).square(), beta))


def _clipped_fitted_parameters(o: Operands) -> Iterator[FittedParameter]:
    limit = o.setting("limit", None)
    canonical_description = "does not clip" if limit is None else f"to {limit:g}"
    norm = _norm(o)
    yield FittedParameter(
        "clips the gradient's norm to {}", canonical_description, limit or 1.0, lambda other: o["g"] * other / norm, 0.0
    )


def _average_fitted_parameters(o: Operands, old: str, new: Tensor) -> Iterator[FittedParameter]:
    beta = o.settings["beta"]
    yield FittedParameter(
        "takes beta = {}", f"{beta:g}", beta, lambda other: _averaged(o.get(old), new, other), 0.0, 1.0
    )


CLIPPED = OperationDefinition(
    lambda o: _to(o, o.setting("limit", None), _norm(o)),
    _clipped_variants,
    fitted_parameters=_clipped_fitted_parameters,
)
MOMENT = OperationDefinition(
    lambda o: _averaged(o.get("m"), o["g"], o.settings["beta"]),
    _moment_variants,
    fitted_parameters=lambda o: _average_fitted_parameters(o, "m", o["g"]),
)
SQUARE_MOMENT = OperationDefinition(
    lambda o: _averaged(o.get("v"), o["g"].square(), o.settings["beta"]),
    _square_variants,
    fitted_parameters=lambda o: _average_fitted_parameters(o, "v", o["g"].square()),
)
