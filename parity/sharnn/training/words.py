"""What the terminal, the page and JUnit say of it in the same words."""

from __future__ import annotations

from parity.report.words import counted, short
from parity.sharnn.training.compare import FACTOR
from parity.sharnn.training.results import Departure, Measured, Parameter, TrainingParity, Trajectory
from parity.tolerance import MULTIPLE
from sharnn_py.config import Program

SHOWN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Updates that tables show, besides the last and the first that leaves the band."""
OPTIMISERS: dict[Program, str] = {"julia": "SHA-RNN.jl's MinTrustLAMB", "paper": "Smerity's MinTrustLAMB"}
NAMED = 3
"""Parameters that a sentence names."""


def verdict(result: TrainingParity) -> str:
    """The result in a sentence."""
    if not result:
        off = [title(found) for found in result.trajectories if not found]
        off += [found.recording for found in result.recorded if not found]
        return f"DIVERGENCE: training the port is not training in Julia: {'; '.join(off)}"
    updates = counted(result.trajectories[0].asked, "update")
    programs = " and ".join(dict.fromkeys(OPTIMISERS[found.program] for found in result.trajectories))
    return f"AGREEMENT: {updates} of the port by {programs} stay with Julia's, in {result.seconds:.0f} s"


def headline(result: TrainingParity) -> str:
    """What is wrong first; or how near both sides stay."""
    for recorded in result.recorded:
        if not recorded:
            return (
                f"Julia's optimiser is not the one recorded in {recorded.recording}: {recorded.wrong} is the first "
                "that is off, so what follows says nothing about the port"
            )
    for found in result.trajectories:
        if not found:
            return why(found)
    worst: dict[str, float] = {}
    for found in result.trajectories:
        shares = [FACTOR * measured.distance / measured.allowed for measured in found.updates]
        worst[found.precision] = max(worst.get(found.precision, 0.0), *shares)
    return (
        "Julia's parameters are never further from the port's than "
        + " and ".join(f"{share:.2g} times ({name})" for name, share in worst.items())
        + f" what rounding parts the port's own runs by; {FACTOR:g} times are allowed"
    )


def title(found: Trajectory) -> str:
    """Which training it is."""
    return f"{OPTIMISERS[found.program]}, {found.precision}"


def why(found: Trajectory) -> str:
    """What is wrong with it; "" if nothing is."""
    if found.first is not None:
        return f"{title(found)}: {departure(found.first)}" + (f"; later {found.problem}" if found.problem else "")
    return f"{title(found)}: {found.problem}" if found.problem else ""


def departure(first: Departure) -> str:
    """The first update that is not Julia's, and what that says."""
    m = first.measured
    apart = f"{short(m.distance)} from Julia's, and {short(m.allowed)} is allowed"
    if m.loss_agrees:
        said = (
            f"the parameters after update {m.number} are {apart}; the loss before it agrees, so the forward pass and "
            "the state do too: it is the update that is another, by its gradients, the optimiser or the rate"
        )
    else:
        said = (
            f"the loss of update {m.number} is {m.port_loss:.9g}, Julia's {m.julia_loss:.9g}, and they may differ by "
            f"{short(m.loss_allowed)}: the forward pass is another, or the state that is carried into it; the "
            f"parameters after it are {apart}"
        )
    return f"{said}; {_parameters(first.off)}" if first.off else said


def _parameters(off: list[Parameter]) -> str:
    if len({None if p.share is None else round(p.share, 6) for p in off}) == 1 and off[0].share is not None:
        return (
            f"all {counted(len(off), 'parameter')} that left their bands moved {off[0].share:.6g} times as far as in "
            "Julia, as if at another rate"
        )
    named = ", ".join(_parameter(p) for p in off[:NAMED])
    return f"furthest out: {named}" + (f", and {len(off) - NAMED} more" if len(off) > NAMED else "")


def _parameter(p: Parameter) -> str:
    share = "" if p.share is None else f", moved {p.share:.6g} times as far as in Julia"
    return f"{p.name} ({short(p.distance)} of {short(p.allowed)} allowed{share})"


def optimisers(result: TrainingParity) -> str:
    """What the recordings say of the optimisers in Julia."""
    updates, compared = sum(r.updates for r in result.recorded), sum(r.compared for r in result.recorded)
    units = max((r.units for r in result.recorded), default=0.0)
    what = f"{counted(updates, 'recorded update')} of {counted(len(result.recorded), 'recording')}"
    return (
        f"Julia's MinTrustLAMB gives {what} again: {counted(compared, 'tensor')}, at most {units:.2g} units of "
        f"rounding off ({MULTIPLE:g} are allowed)"
    )


def rows(found: Trajectory) -> list[Measured]:
    """The updates that a table shows."""
    first = found.first.measured.number if found.first is not None else 0
    last = found.updates[-1].number if found.updates else 0
    return [m for m in found.updates if m.number in (*SHOWN, first, last)]
