"""Two recordings laid side by side, tensor by tensor: no program is run."""

import time
from collections.abc import Mapping

from torch import Tensor

from parity.errors import RecordingError
from parity.measure import Measure, measure_exact, measure_rounded
from parity.recording.names import parse
from parity.recording.recording import Recording
from parity.results import CaseResult, Comparison, Verdict
from parity.tolerance import UNIT

FORWARD_UNITS, GRADIENT_UNITS = 128.0, 4096.0
"""Units of rounding at a tensor's scale that two programs may be apart where nothing better is known. Of the packaged
recordings, each with the float64 truth, the furthest intermediate is 50 units away and the furthest gradient 1,680; two
programs may be twice that apart."""


def diff(
    a: Recording,
    b: Recording,
    tolerances: Mapping[str, float] | None = None,
    isolated: Mapping[str, Comparison] | None = None,
) -> CaseResult:
    """Every tensor of `a` against that of the same name in `b`, in the order of `a`.

    `tolerances` are absolute, by name; where there is none, `FORWARD_UNITS` or `GRADIENT_UNITS` units of rounding at
    the tensor's scale are allowed. `isolated` holds, by name, what `b`'s program makes of `a`'s inputs; without it the
    first difference is taken to be wrong, and every later one to be inherited.
    Raises `RecordingError` if no tensor is in both.
    """
    start = time.perf_counter()
    common = [name for name in a.tensors if name in b.tensors]
    if not common:
        raise RecordingError(
            f"{a.name} and {b.name} have no tensor of the same name; {a.name} has {_some(a)}, {b.name} has {_some(b)}"
        )
    comparisons: list[Comparison] = []
    for name in common:
        measure, exact = _measure(name, a.tensors[name], b.tensors[name], (tolerances or {}).get(name))
        known = (isolated or {}).get(name)
        own = None if known is None else known.isolated
        if own is not None and known is not None:
            verdict: Verdict = known.verdict if not own.agrees else "agrees" if measure.agrees else "inherited"
        else:
            wrong_before = any(c.verdict == "wrong" for c in comparisons)
            verdict = "agrees" if measure.agrees else "inherited" if wrong_before else "wrong"
        parts = parse(name)
        where = known.where if known is not None else name
        hints = () if known is None else known.hints
        shape = tuple(a.tensors[name].shape)
        comparisons.append(
            Comparison(name, name, where, parts.layer, parts.index, exact, shape, measure, own, verdict, hints)
        )
    made = {f"first: {key}": value for key, value in a.provenance.items()}
    made |= {f"second: {key}": value for key, value in b.provenance.items()}
    return CaseResult(
        f"{a.name} and {b.name}",
        a.name,
        b.name,
        len(a.tensors),
        comparisons,
        {name: f"not in {b.name}" for name in a.tensors if name not in b.tensors},
        time.perf_counter() - start,
        made,
        compared_names=frozenset(common),
    )


def _measure(name: str, a: Tensor, b: Tensor, tolerance: float | None) -> tuple[Measure, bool]:
    if parse(name).group == "param" or not a.is_floating_point() or not b.is_floating_point():
        return measure_exact(a, b), True
    measure = measure_rounded(a, b, [b])
    if tolerance is None:
        units = GRADIENT_UNITS if parse(name).is_gradient else FORWARD_UNITS
        coarser = max(UNIT[dtype] for dtype in (a.dtype, b.dtype) if dtype in UNIT)
        tolerance = units * coarser * measure.scale
    return measure.held_to(tolerance), False


def _some(recording: Recording) -> str:
    names = list(recording.tensors)
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
