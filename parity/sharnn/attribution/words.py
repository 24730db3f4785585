"""What the terminal and the page say of an explanation in the same words."""

from parity.report.words import counted
from parity.sharnn.attribution.results import TRAINING_RUN, Attribution, Endpoint, Explanation
from parity.sharnn.ledger.ledger import load


def headline(explanation: Explanation) -> str:
    """The row that changes most, and what each program computes there; or the first thing that is not explained."""
    for case in explanation.cases:
        for problem in unexplained(case):
            return f"{case.name}: {problem}"
    recorded = [case for case in explanation.cases if case.name != TRAINING_RUN] or explanation.cases
    found = [(case, c) for case in recorded if case.rms > 0 for c in case.contributions]
    if not found:
        return "nothing was explained"
    case, largest = max(found, key=lambda pair: pair[1].alone.rms / pair[0].rms)
    entry = next((e for e in load().entries if e.id == largest.entry), None)
    what = largest.switch if entry is None else f"{entry.title}: SHA-RNN.jl has {entry.julia}; Smerity's {entry.paper}"
    share = f"{largest.alone.rms / case.rms:.0%} of the logits' size in {case.name}"
    return f"the row that changes most is {what} ({share})"


def unexplained(case: Attribution) -> list[str]:
    """What the ledger does not explain of a case, a sentence each."""
    return [*(not_the_program(case, end) for end in case.endpoints if not end), *case.problems]


def scale(case: Attribution) -> str:
    """How large losses and logits are, which the rows' changes are to be read against."""
    loss = f"loss {case.loss[0]:.4f} under julia, {case.loss[1]:.4f} under paper (nats)"
    unit = "" if case.rounding is None else f", one unit of rounding {case.rounding:.2g}"
    return f"{loss}; logits under julia: rms {case.rms:.3g}{unit}"


def not_the_program(case: Attribution, endpoint: Endpoint) -> str:
    """That the port does not compute what one of the programs did."""
    program, what = endpoint.program, endpoint.what
    words = f"the port under {program} does not compute what {what} has: {endpoint.where}; no row explains that"
    if case.name == TRAINING_RUN:
        return words
    return f"{words}. `sharnn parity run --case {case.name}` finds the first layer"


def verdict(explanation: Explanation) -> str:
    """The result in a sentence."""
    count = len(explanation.cases)
    if explanation:
        cases = "the one case" if count == 1 else f"all {counted(count, 'case')}"
        words = f"EXPLAINED: in {cases} the ledger's rows account for the whole difference"
    else:
        failed = ", ".join(case.name for case in explanation.cases if not case)
        words = f"UNEXPLAINED: the ledger does not account for the whole difference in {failed}"
    return f"{words} (version {explanation.ledger} of the ledger, {explanation.seconds:.0f} s)"
