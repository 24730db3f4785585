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

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, for_each

MOST_ROWS = 64
"""Numbers of rows that are tried one by one."""


def _joined(first: Tensor | None, second: Tensor | None) -> Tensor:
    return torch.cat([part for part in (first, second) if part is not None])


def _concat_variants(o: Operands) -> Iterator[Variant]:
    first, second = o.get("first"), o["second"]
    older, newer = o.name("first", "the memory"), o.name("second", "the new rows")
    if first is None:
        return
    yield Variant(f"puts {newer} before {older}", "after it", lambda: _joined(second, first))
    yield Variant(f"leaves {older} out", "joins it", lambda: second.clone())
    yield Variant(f"leaves {newer} out", "joins it", lambda: first.clone())
    yield Variant(f"puts zeros for {older}", "its rows", lambda: _joined(torch.zeros_like(first), second))
    yield Variant(f"puts zeros for {newer}", "its rows", lambda: _joined(first, torch.zeros_like(second)))
    yield Variant(f"takes {older} in reverse", "in order", lambda: _joined(first.flip(0), second))
    yield Variant(f"takes {newer} in reverse", "in order", lambda: _joined(first, second.flip(0)))
    yield Variant(f"joins {newer} twice", "once", lambda: torch.cat([first, second, second]))
    yield Variant(f"joins {older} twice", "once", lambda: torch.cat([first, first, second]))
    if first.ndim > 1 and first.shape[1] > 1:
        turned = partial(_joined, first.flip(1), second)
        yield Variant(f"takes {older} with its batch reversed", "in order", turned, needs_whole_tensor=True)
    for k in (1, 2, 3):
        words = f"leaves {_rows(k)} of {older} out, the"
        yield Variant(f"{words} oldest", "joins all of it", partial(_joined, first[k:], second))
        yield Variant(f"{words} newest", "joins all of it", partial(_joined, first[:-k], second))


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"


def _last(x: Tensor, rows: int) -> Tensor:
    return x[max(0, x.shape[0] - rows) :]


def _counts(own: int, held: int) -> list[int]:
    """Other numbers of rows out of `held` than `own`, the nearest first; all of them only if that is near."""
    near = (own + k for k in (1, -1, 2, -2, 3, -3))
    return [n for n in dict.fromkeys((*near, *range(1, min(held, MOST_ROWS)))) if 0 < n <= held and n != own]


def _kept(x: Tensor, own: int) -> Iterator[Variant]:
    """Other rows than the last `own`."""
    held = x.shape[0]
    n = min(own, held)
    canonical = f"the last {n}"
    counts = _counts(n, held)
    yield from (Variant(f"keeps the last {_rows(k)}", canonical, partial(_last, x, k)) for k in counts)
    if n < held:
        yield Variant(f"keeps the first {_rows(n)}", canonical, lambda: x[:n])
    if held not in (n, *counts):
        yield Variant(f"keeps all {held} rows", canonical, lambda: x.clone())
    yield Variant("keeps no rows", canonical, lambda: x[:0])
    yield Variant(f"keeps the last {_rows(n)} in reverse", "in order", lambda: _last(x, n).flip(0))
    for k in (1, 2, 3):
        description = f"keeps {_rows(n)} that end {_rows(k)} before the last"
        yield from for_each([k], description, canonical, lambda k: x[max(0, held - n - k) : held - k])
    yield Variant("keeps every second row", canonical, lambda: x[::2])
    yield Variant("keeps every second row, up to the last", canonical, lambda: x[(held - 1) % 2 :: 2])
    if x.ndim > 1 and n < x.shape[1]:
        yield Variant(f"keeps the last {n} of the batch", f"{canonical} rows", lambda: x[:, -n:])
    for k in (k for k in counts if k < held):
        yield Variant(f"keeps the first {_rows(k)}", canonical, partial(torch.narrow, x, 0, 0, k))


def _dropped(o: Operands) -> int:
    rows = o.setting("rows", 0)
    return int(rows({role: o.shape(role)[0] for role in o.tensors}) if callable(rows) else rows)


def _drop_variants(o: Operands) -> Iterator[Variant]:
    x = o["x"]
    held = x.shape[0]
    n = min(_dropped(o), held)
    canonical = f"the oldest {n}" if n else "none"
    counts = _counts(n, held)
    yield from (Variant(f"drops the oldest {_rows(k)}", canonical, partial(_last, x, held - k)) for k in counts)
    if n:
        yield Variant(f"drops the newest {_rows(n)}", canonical, lambda: x[: held - n])
        yield Variant("drops no rows", canonical, lambda: x.clone())
    if held not in (n, *counts):
        yield Variant(f"drops all {held} rows", canonical, lambda: x[:0])
    for k in (k for k in counts if k < held):
        yield Variant(f"drops the newest {_rows(k)}", canonical, partial(torch.narrow, x, 0, 0, held - k))


def _carried_variants(o: Operands) -> Iterator[Variant]:
    x, own = o["x"], o.name("x", "the state")
    if "exchanged" in o:
        other = o.name("exchanged", "the other")
        yield Variant(f"carries {other} in the place of {own}", own, o["exchanged"].clone)
    yield Variant("carries zeros on: the state is reset", own, lambda: torch.zeros_like(x), zeros=True)
    if "before" in o:
        yield Variant("carries on what came in: the state is not updated", own, o["before"].clone)
    if "whole" in o:
        yield from _kept(o["whole"], o.setting("rows", x.shape[0]))
    if "new" in o:
        yield Variant("carries the new rows alone on", own, o["new"].clone)
        if "before" in o:
            yield Variant("carries on the new rows before the old", own, lambda: _joined(o["new"], o["before"]))
    if "steps" in o:
        steps, name = o["steps"], o.name("steps", "every step's")
        for words, row in (("first", 0), ("second to last", -2), ("second", 1)):
            yield Variant(f"carries the {words} of {name} on", "the last", partial(torch.select, steps, 0, row))
        yield Variant(f"carries the mean of {name} on", "the last", lambda: steps.mean(0))
    yield Variant("carries no rows on", own, lambda: x[:0])


OPERATIONS = {
    "concat": OperationDefinition(lambda o: _joined(o.get("first"), o["second"]), _concat_variants),
    "last_rows": OperationDefinition(
        lambda o: _last(o["x"], o.settings["rows"]), lambda o: _kept(o["x"], o.settings["rows"])
    ),
    "drop_rows": OperationDefinition(lambda o: o["x"][_dropped(o) :], _drop_variants),
    "carried": OperationDefinition(lambda o: o["x"], _carried_variants),
}
