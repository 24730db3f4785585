"""An embedding: row `id` of the table for every id, counted from 0.

Roles: ids (...) int64, weight (V, H).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant


def _compute(o: Operands) -> Tensor:
    return o["weight"][o["ids"]]  # (..., H)


def _variants(o: Operands) -> Iterator[Variant]:
    ids, weight = o["ids"], o["weight"]
    vocab, width = weight.shape
    take = "takes row id {} of the table"
    yield Variant(take.format("+ 1") + " (0- against 1-based ids)", "row id", lambda: weight[(ids + 1) % vocab])
    yield Variant(take.format("- 1") + " (0- against 1-based ids)", "row id", lambda: weight[(ids - 1) % vocab])
    yield Variant(take.format("+ 1") + ", up to the last row", "row id", lambda: weight[(ids + 1).clamp(max=vocab - 1)])
    yield Variant(take.format("- 1") + ", down to row 0", "row id", lambda: weight[(ids - 1).clamp(min=0)])
    yield Variant("takes the table from its end", "from its start", lambda: weight.flip(0)[ids])
    yield Variant("transposes the table", "does not", lambda: weight.mT[ids])
    yield Variant(
        "reads the transposed table as if it were not (reshaped, not transposed)",
        "takes it as it is",
        lambda: weight.mT.reshape(vocab, width)[ids],
    )
    for padding in (0, vocab - 1):
        rows = torch.arange(vocab)[:, None] != padding  # (V, 1)
        yield Variant(
            f"takes zeros for id {padding} (as padding)", "that row", partial(lambda rows: (weight * rows)[ids], rows)
        )
    root = math.sqrt(width)
    yield Variant(f"scales by sqrt({width}), the width", "does not scale", lambda: weight[ids] * root)
    yield Variant(f"scales by 1 / sqrt({width}), the width", "does not scale", lambda: weight[ids] / root)
    yield Variant(
        "scales every row to norm 1", "does not", lambda: weight[ids] / weight[ids].norm(dim=-1, keepdim=True)
    )
    yield Variant(
        "limits the norm of every row to 1",
        "does not",
        lambda: weight[ids] / weight[ids].norm(dim=-1, keepdim=True).clamp(min=1.0),
    )
    if ids.ndim == 2:
        steps, batch = ids.shape
        yield Variant(
            "reads the ids batch by batch as if they lay step by step",
            "step by step",
            lambda: weight[ids.mT.reshape(steps, batch)],
            needs_whole_tensor=True,
        )
        yield Variant(
            "reads the ids step by step as if they lay batch by batch",
            "batch by batch",
            lambda: weight[ids.reshape(batch, steps).mT],
            needs_whole_tensor=True,
        )


def _follows(settings: Mapping[str, Any], axis: int) -> Mapping[str, int] | None:
    return None if axis == -1 else {"ids": axis + 1}  # ids lack the last axis


EMBEDDING = OperationDefinition(_compute, _variants, _follows)
