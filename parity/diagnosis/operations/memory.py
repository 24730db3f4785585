"""Rows kept, dropped, joined and carried on along time, the first axis.

`concat`: first, then second, (M, ...) and (T, ...) -> (M + T, ...). `last_rows`: the last `rows` of x. `drop_rows`: x
without its first `rows`, a number or a function of every input's length by role. `carried`: x, what is carried to the
next segment; the role `exchanged` is what may be carried in its place by mistake, `before` the state that came in,
`whole` the rows that x was cut from, `steps` the rows of which x is the last.
"""

from collections.abc import Iterator
from functools import partial
from operator import itemgetter

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, for_each
from parity.diagnosis.formula import Change, Formula, Options, exchange, flipped, on, without

MOST_ROWS = 64
"""Numbers of rows that are tried one by one."""


def _concat(o: Operands) -> Tensor:
    return torch.cat([o[role] for role in ("first", "second") if role in o])


def _concat_changes(o: Operands, options: Options) -> Iterator[Change]:
    if "first" not in o:
        return
    older, newer = o.name("first", "the memory"), o.name("second", "the new rows")
    yield Change(f"puts {newer} before {older}", "after it", operands=exchange(("first", "second")))
    for role, words in (("first", older), ("second", newer)):
        yield Change(f"leaves {words} out", "joins it", operands=without(role))
        yield Change(f"puts zeros for {words}", "its rows", operands=on(torch.zeros_like, role))
        yield Change(f"takes {words} in reverse", "in order", operands=flipped(0, role))
        yield Change(f"joins {words} twice", "once", operands=on(lambda x: torch.cat([x, x]), role))
    if o["first"].ndim > 1 and o["first"].shape[1] > 1:
        words = f"takes {older} with its batch reversed"
        yield Change(words, "in order", operands=flipped(1, "first"), needs_whole_tensor=True)
    for k in (1, 2, 3):
        for end, kept in (("oldest", slice(k, None)), ("newest", slice(-k))):
            words = f"leaves {_rows(k)} of {older} out, the {end}"
            yield Change(words, "joins all of it", operands=on(itemgetter(kept), "first"))


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
            words = "carries on the new rows before the old"
            yield Variant(words, own, partial(torch.cat, [o["new"], o["before"]]))
    if "steps" in o:
        steps, name = o["steps"], o.name("steps", "every step's")
        for words, row in (("first", 0), ("second to last", -2), ("second", 1)):
            yield Variant(f"carries the {words} of {name} on", "the last", partial(torch.select, steps, 0, row))
        yield Variant(f"carries the mean of {name} on", "the last", lambda: steps.mean(0))
    yield Variant("carries no rows on", own, lambda: x[:0])


OPERATIONS = {
    "concat": Formula(_concat).definition(_concat_changes),
    "last_rows": OperationDefinition(
        lambda o: _last(o["x"], o.settings["rows"]), lambda o: _kept(o["x"], o.settings["rows"])
    ),
    "drop_rows": OperationDefinition(lambda o: o["x"][_dropped(o) :], _drop_variants),
    "carried": OperationDefinition(lambda o: o["x"], _carried_variants),
}
