"""An embedding: row `id` of the table for every id, counted from 0.

Roles: ids (...) int64, weight (V, H).
"""

import math
from collections.abc import Iterator
from functools import partial

import torch

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, for_each


def _variants(o: Operands) -> Iterator[Variant]:
    ids, weight = o["ids"], o["weight"]
    vocab, width = weight.shape
    for description, row in (
        ("takes row id + 1 of the table (0- against 1-based ids)", (ids + 1) % vocab),
        ("takes row id - 1 of the table (0- against 1-based ids)", (ids - 1) % vocab),
        ("takes row id + 1 of the table, up to the last row", (ids + 1).clamp(max=vocab - 1)),
        ("takes row id - 1 of the table, down to row 0", (ids - 1).clamp(min=0)),
    ):
        yield Variant(description, "row id", partial(torch.embedding, weight, row))
    yield Variant("takes the table from its end", "from its start", lambda: weight.flip(0)[ids])
    yield Variant("transposes the table", "does not", lambda: weight.mT[ids])
    words = "reads the transposed table as if it were not (reshaped, not transposed)"
    yield Variant(words, "takes it as it is", lambda: weight.mT.reshape(vocab, width)[ids])
    padding = "takes zeros for id {} (as padding)"
    yield from for_each(
        (0, vocab - 1), padding, "that row", lambda i: torch.where(ids[..., None] == i, 0.0, weight[ids])
    )
    root = math.sqrt(width)
    yield Variant(f"scales by sqrt({width}), the width", "does not scale", lambda: weight[ids] * root)
    yield Variant(f"scales by 1 / sqrt({width}), the width", "does not scale", lambda: weight[ids] / root)
    rows, norm = weight[ids], weight[ids].norm(dim=-1, keepdim=True)
    yield Variant("scales every row to norm 1", "does not", lambda: rows / norm)
    yield Variant("limits the norm of every row to 1", "does not", lambda: rows / norm.clamp(min=1.0))
    if ids.ndim == 2:
        steps, batch = ids.shape
        by_batch, by_step = "batch by batch", "step by step"
        turned, returned = ids.mT.reshape(steps, batch), ids.reshape(batch, steps).mT
        for read, lie, other in ((by_batch, by_step, turned), (by_step, by_batch, returned)):
            words = f"reads the ids {read} as if they lay {lie}"
            yield Variant(words, lie, partial(torch.embedding, weight, other), needs_whole_tensor=True)


OPERATIONS = {
    "embedding": OperationDefinition(
        lambda o: o["weight"][o["ids"]],  # (..., H)
        _variants,
        lambda settings, axis: None if axis == -1 else {"ids": axis + 1},  # ids lack the last axis
    )
}
