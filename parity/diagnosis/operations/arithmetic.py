"""Sums and products of tensors, and tensors passed on as they are.

`same`: x. `add`: a + b. `product`: x (..., H) times gain (H,). `stack`: every input, under a new first axis. `select`:
row `row` of x, a setting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, nothing_windowed, rowwise


def _same_variants(o: Operands) -> Iterator[Variant]:
    x = o["x"]
    for rate in (0.1, 0.2, 0.25, 0.3, 0.5):
        yield Variant(
            f"scales by 1 - {rate:g}, as for a dropout", "does not", partial(lambda rate: x * (1 - rate), rate)
        )
        yield Variant(
            f"scales by 1 / (1 - {rate:g}), as for a dropout", "does not", partial(lambda rate: x / (1 - rate), rate)
        )


def _add_variants(o: Operands) -> Iterator[Variant]:
    a, b = o["a"], o["b"]
    first, second = o.keys.get("a", "a"), o.keys.get("b", "b")
    yield Variant(f"leaves {second} out", "adds it", lambda: a.expand_as(a + b))
    yield Variant(f"leaves {first} out", "adds it", lambda: b.expand_as(a + b))
    yield Variant(f"adds {second} twice", "once", lambda: a + 2 * b)
    yield Variant(f"adds {first} twice", "once", lambda: 2 * a + b)
    yield Variant(f"subtracts {second}", "adds it", lambda: a - b)
    yield Variant(f"subtracts {first}", "adds it", lambda: b - a)
    yield Variant("multiplies the two", "adds them", lambda: a * b)
    yield Variant("takes the mean of the two", "their sum", lambda: (a + b) / 2)
    yield Variant("divides the sum by sqrt(2)", "does not", lambda: (a + b) / 2**0.5)
    yield Variant(f"adds half of {second}", "all of it", lambda: a + b / 2)
    yield Variant(f"adds half of {first}", "all of it", lambda: a / 2 + b)


def _product(o: Operands) -> Tensor:
    return o["x"] * o["gain"]


def _product_variants(o: Operands) -> Iterator[Variant]:
    x, gain = o["x"], o["gain"]
    times = o.keys.get("gain", "the gain")
    # A gain between 0 and 1 is the sigmoid of something; of any other the logit is NaN, which reproduces nothing.
    formulas: list[tuple[str, str, Callable[[], Tensor]]] = [
        (f"leaves {times} out", "multiplies by it", lambda: x.clone()),
        (f"multiplies by the number whose sigmoid {times} is (no sigmoid)", times, lambda: x * gain.logit()),
        (f"multiplies by the sigmoid of {times} (a sigmoid too many)", times, lambda: x * gain.sigmoid()),
        (f"multiplies by tanh in place of the sigmoid in {times}", times, lambda: x * gain.logit().tanh()),
        (f"multiplies by tanh of {times}", times, lambda: x * gain.tanh()),
        (f"multiplies by 1 + {times}", times, lambda: x * (1 + gain)),
        (f"multiplies by 1 - {times}", times, lambda: x * (1 - gain)),
        (f"multiplies by exp of {times}", times, lambda: x * gain.exp()),
        (f"multiplies by relu of {times}", times, lambda: x * gain.relu()),
        (f"multiplies by {times} twice", "once", lambda: x * gain * gain),
        (f"multiplies by twice {times}", times, lambda: 2 * x * gain),
        (f"divides by {times}", "multiplies by it", lambda: x / gain),
        (f"adds {times}", "multiplies by it", lambda: x + gain),
        (f"multiplies by {times} in reverse", "in order", lambda: x * gain.flip(-1)),
    ]
    yield from (
        Variant(f"{description}", canonical_description, f) for description, canonical_description, f in formulas
    )


def _stack_variants(o: Operands) -> Iterator[Variant]:
    parts = list(o.tensors.values())
    yield Variant("stacks them last to first", "first to last", lambda: torch.stack(parts[::-1]))
    for i, key in enumerate(o.keys.values()):
        yield Variant(
            f"has {key} in every row", "each in its own", partial(lambda i: torch.stack([parts[i]] * len(parts)), i)
        )


def _select_variants(o: Operands) -> Iterator[Variant]:
    x, own = o["x"], o.settings["row"]
    for row in range(x.shape[0]):
        if row != own:
            yield Variant(f"takes row {row} of {o.keys['x']}", f"row {own}", partial(lambda row: x[row], row))


SAME = OperationDefinition(lambda o: o["x"], _same_variants, lambda settings, axis: {"x": axis})
ADD = OperationDefinition(lambda o: o["a"] + o["b"], _add_variants, lambda settings, axis: {"a": axis, "b": axis})
STACK = OperationDefinition(lambda o: torch.stack(list(o.tensors.values())), _stack_variants, nothing_windowed)
SELECT = OperationDefinition(lambda o: o["x"][o.settings["row"]], _select_variants, nothing_windowed)
PRODUCT = OperationDefinition(_product, _product_variants, rowwise("x", mixes=1))
