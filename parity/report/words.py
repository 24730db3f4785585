"""What all reports say in the same words."""

from __future__ import annotations

import math

from parity.compare import Comparison
from parity.results import CaseResult, SuiteResult


def number(value: object) -> str:
    """A number as it is shown: enough digits to tell two float32 apart."""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def distance(comparison: Comparison) -> str:
    """How far apart, and how far rounding would explain."""
    if comparison.problem:
        return comparison.problem
    if comparison.exact:
        return f"{comparison.error:.0f} of the elements differ; they should be equal"
    ratio = "no rounding at all" if math.isinf(comparison.ratio) else f"{comparison.ratio:,.3g} times"
    return (
        f"{comparison.error:.3g} from the truth, {ratio} the {comparison.tolerance:.3g} that float32 rounding "
        f"explains here (the port's own float32 is {comparison.rounding:.3g} off)"
    )


def worst(comparison: Comparison) -> str:
    """The worst element with all values."""
    if comparison.worst is None:
        return ""
    w = comparison.worst
    values = f"recorded {number(w.recorded)}, port {number(w.port)}"
    truth = "" if comparison.exact else f", truth (port in float64) {number(w.truth)}"
    return f"worst element {list(w.index)}: {values}{truth}"


def what_follows(case: CaseResult) -> str:
    """The consequences of the first divergence, in a sentence."""
    first, rest = case.divergences[0], case.divergences[1:]
    later = case.comparisons[case.comparisons.index(first) + 1 :]
    if not rest:
        return f"nothing: all {len(later):,} comparisons after it agree"
    words = f"{len(rest):,} of the {len(later):,} comparisons after it diverge too"
    for what in ("logits", "loss"):
        hit = next((c for c in rest if c.name.endswith(f"/{what}") and c.worst is not None), None)
        if hit is not None and hit.worst is not None:
            words += f"; {hit.name} is off by {hit.error:.3g} ({number(hit.worst.recorded)} recorded, "
            words += f"{number(hit.worst.port)} port)"
    return words


def summary(result: SuiteResult) -> list[str]:
    """The counts, a line each."""
    lines = [
        f"{result.recorded:,} tensors recorded, {result.compared:,} compared (in {result.comparisons:,} comparisons), "
        f"{result.recorded - result.compared:,} left out"
    ]
    lines += [f"  left out: {count:,} {reason}" for reason, count in sorted(result.left_out.items())]
    return lines + result.notes


def verdict(result: SuiteResult) -> str:
    """The last line of every report."""
    count = len(result.cases)
    diverging = sum(case.verdict == "diverges" for case in result.cases)
    errors = sum(case.verdict == "error" for case in result.cases)
    if result:
        return f"AGREEMENT: all {count} recordings agree with the port, in {result.seconds:.0f} s"
    parts = ([f"{diverging} diverge"] if diverging else []) + ([f"{errors} could not be run"] if errors else [])
    return f"{'DIVERGENCE' if diverging else 'ERROR'}: of {count} recordings {' and '.join(parts)}"
