"""The planted faults, a file for each part of the source that they break.

`parity.sharnn.faults.fault.Fault` has what an entry says. A new entry in any of these files is planted and checked
wherever the ones before it are.
"""

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
    serving,
    state,
)

FAULTS = [
    fault
    for part in (
        parameters, ends, layer_norm, lstm, queries, scores, boom, memory, state, gradients, optimiser, data, serving,
    )
    for fault in part.FAULTS
]  # fmt: skip
"""All of them, in the order of what they break."""
