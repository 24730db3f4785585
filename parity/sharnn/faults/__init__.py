"""Known faults of the port, which the suite must catch, at the right tensor, and explain."""

from parity.sharnn.faults.catalogue import (
    boom,
    data,
    ends,
    gradients,
    layer_norm,
    lstm,
    memory,
    optimiser,
    parameters,
    queries,
    scores,
    state,
)

MUTANTS = [
    mutant
    for place in (
        parameters, ends, layer_norm, lstm, queries, scores, boom, memory, state, gradients, optimiser, data,
    )
    for mutant in place.MUTANTS
]  # fmt: skip
"""All of them, in the order of what they break."""
