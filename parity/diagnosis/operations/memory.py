"""Rows kept, dropped, joined and carried on along time, the first axis.

`concat`: first, then second, (M, ...) and (T, ...) -> (M + T, ...). `last_rows`: the last `rows` of x. `drop_rows`: x
without its first `rows`, a number or a function of every input's length by role. `carried`: x, what goes on to the
next segment; the role `exchanged` is what may be carried in its place by mistake, `before` the state that came in,
`whole` the rows that x was cut from, `steps` the rows that x is the last of.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, nothing_windowed

MOST_ROWS = 64
"""Numbers of rows that are tried one by one."""


def _joined(first: Tensor | None, second: Tensor | None) -> Tensor:
    return torch.cat([part for part in (first, second) if part is not None])


def _concat(o: Operands) -> Tensor:
    return _joined(o.get("first"), o["second"])  # (M + T, ...)


def _concat_variants(o: Operands) -> Iterator[Variant]:
    first, second = o.get("first"), o["second"]
    older, newer = o.keys.get("first", "the memory"), o.keys.get("second", "the new rows")
    yield Variant(f"puts {newer} before {older}", "after it", lambda: _joined(second, first))
    yield Variant(f"leaves {older} out", "joins it", lambda: second.clone())
    if first is None:
        return
    yield Variant(f"leaves {newer} out", "joins it", lambda: first.clone())
    yield Variant(f"puts zeros for {older}", "its rows", lambda: _joined(torch.zeros_like(first), second))
    yield Variant(f"puts zeros for {newer}", "its rows", lambda: _joined(first, torch.zeros_like(second)))
    yield Variant(f"takes {older} in reverse", "in order", lambda: _joined(first.flip(0), second))
    yield Variant(f"takes {newer} in reverse", "in order", lambda: _joined(first, second.flip(0)))
    yield Variant(f"joins {newer} twice", "once", lambda: torch.cat([first, second, second]))
    yield Variant(f"joins {older} twice", "once", lambda: torch.cat([first, first, second]))
    if first.ndim > 1 and first.shape[1] > 1:
        yield Variant(
            f"takes {older} with its batch reversed",
            "in order",
            lambda: _joined(first.flip(1), second),
            needs_whole_tensor=True,
        )
    for k in (1, 2, 3):
        yield Variant(
            f"leaves {_rows(k)} of {older} out, the oldest",
            "joins all of it",
            partial(lambda k: _joined(first[k:], second), k),
        )
        yield Variant(
            f"leaves {_rows(k)} of {older} out, the newest",
            "joins all of it",
            partial(lambda k: _joined(first[:-k], second), k),
        )


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _last(x: Tensor, rows: int) -> Tensor:
    return x[max(0, x.shape[0] - rows) :]


def _last_variants(o: Operands) -> Iterator[Variant]:
    yield from _kept(o["x"], o.settings["rows"])


def _kept(x: Tensor, n: int) -> Iterator[Variant]:
    """Other rows than the last n."""
    held = x.shape[0]
    canonical_description = f"the last {min(n, held)}"
    for k in (1, -1, 2, -2, 3, -3):
        if n + k >= 0:
            yield Variant(f"keeps the last {n + k} rows", canonical_description, partial(lambda k: _last(x, n + k), k))
    yield Variant(f"keeps the first {n} rows", canonical_description, lambda: x[:n])
    yield Variant(f"keeps all {held} rows", canonical_description, lambda: x.clone())
    yield Variant("keeps no rows", canonical_description, lambda: x[:0])
    yield Variant(f"keeps the last {_rows(n)} in reverse", "in order", lambda: _last(x, n).flip(0))
    for k in (1, 2, 3):
        start = max(0, held - n)
        yield Variant(
            f"keeps {min(n, held)} rows that end {_rows(k)} before the last",
            canonical_description,
            partial(lambda k, start: x[max(0, start - k) : held - k], k, start),
        )
    yield Variant("keeps every second row", canonical_description, lambda: x[::2])
    yield Variant("keeps every second row, up to the last", canonical_description, lambda: x[(held - 1) % 2 :: 2])
    if x.ndim > 1:
        yield Variant(f"keeps the last {n} of the batch", f"{canonical_description} rows", lambda: x[:, -n:])
    for m in range(1, min(held, MOST_ROWS)):
        yield Variant(f"keeps the first {_rows(m)} alone", canonical_description, partial(lambda m: x[:m], m))
        yield Variant(f"keeps the last {_rows(m)} alone", canonical_description, partial(lambda m: x[held - m :], m))


def _dropped(o: Operands) -> int:
    rows = o.setting("rows", 0)
    return int(rows({role: o.shape(role)[0] for role in o.tensors}) if callable(rows) else rows)


def _drop_variants(o: Operands) -> Iterator[Variant]:
    x, n = o["x"], _dropped(o)
    held = x.shape[0]
    canonical_description = f"the oldest {min(n, held)}" if n else "none"
    for k in (1, -1, 2, -2, 3, -3):
        if n + k > 0:
            yield Variant(f"drops the oldest {_rows(n + k)}", canonical_description, partial(lambda k: x[n + k :], k))
    if n:
        yield Variant(f"drops the newest {_rows(n)}", canonical_description, lambda: x[: max(0, held - n)])
    yield Variant("drops no rows", canonical_description, lambda: x.clone())
    yield Variant(f"drops all {held} rows", canonical_description, lambda: x[:0])
    for k in range(1, min(held, MOST_ROWS)):
        yield Variant(f"drops the oldest {_rows(k)}", canonical_description, partial(lambda k: x[k:], k))
        yield Variant(f"drops the newest {_rows(k)}", canonical_description, partial(lambda k: x[: held - k], k))


def _carried_variants(o: Operands) -> Iterator[Variant]:
    x = o["x"]
    own = o.keys.get("x", "the state")
    if "exchanged" in o:
        other = o.keys.get("exchanged", "the other")
        yield Variant(f"carries {other} in the place of {own}", own, lambda: o["exchanged"].clone())
    yield Variant("carries zeros on: the state is reset", own, lambda: torch.zeros_like(x), zeros=True)
    if "before" in o:
        yield Variant("carries on what came in: the state is not updated", own, lambda: o["before"].clone())
    if "whole" in o:
        yield from _kept(o["whole"], o.setting("rows", x.shape[0]))
    if "new" in o:
        yield Variant("carries the new rows alone on", own, lambda: o["new"].clone())
        if "before" in o:
            yield Variant("carries on the new rows before the old", own, lambda: _joined(o["new"], o["before"]))
    if "steps" in o:
        steps, name = o["steps"], o.keys.get("steps", "every step's")
        for words, row in (("first", 0), ("last but one", -2), ("second", 1)):
            yield Variant(f"carries the {words} of {name} on", "the last", partial(lambda row: steps[row], row))
        yield Variant(f"carries the mean of {name} on", "the last", lambda: steps.mean(0))
    yield Variant("carries no rows on", own, lambda: x[:0])


CONCAT = OperationDefinition(_concat, _concat_variants, nothing_windowed)
LAST_ROWS = OperationDefinition(lambda o: _last(o["x"], o.settings["rows"]), _last_variants, nothing_windowed)
DROP_ROWS = OperationDefinition(lambda o: o["x"][_dropped(o) :], _drop_variants, nothing_windowed)
CARRIED = OperationDefinition(lambda o: o["x"], _carried_variants, nothing_windowed)
