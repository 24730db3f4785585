"""Sums and products of tensors, and tensors passed on as they are.

`same`: x. `add`: a + b. `difference`: a - b. `product`: x (..., H) times gain (H,). `times`: x times gain of any shape.
Role `inner`: what a function
was applied to, where the gain is such. `quotient`: x / by. `stack`: every input, under a new first axis. `select`:
row `row` of x, a setting.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant, for_each, rowwise
from parity.diagnosis.operations.activation import FUNCTIONS


def _same_variants(o: Operands) -> Iterator[Variant]:
    x = o["x"]
    for rate in (0.1, 0.2, 0.25, 0.3, 0.5):
        yield Variant(f"scales by 1 - {rate:g}, as for a dropout", "does not", partial(torch.mul, x, 1 - rate))
        yield Variant(f"scales by 1 / (1 - {rate:g}), as for a dropout", "does not", partial(torch.div, x, 1 - rate))


def _add_variants(o: Operands) -> Iterator[Variant]:
    a, b = o["a"], o["b"]
    first, second = o.name("a"), o.name("b")
    yield Variant(f"leaves {second} out", "adds it", lambda: a.expand_as(a + b))
    yield Variant(f"leaves {first} out", "adds it", lambda: b.expand_as(a + b))
    for description, canonical, factor in (
        ("adds {} twice", "once", 2),
        ("subtracts {}", "adds it", -1),
        ("adds half of {}", "all of it", 0.5),
    ):
        yield Variant(description.format(second), canonical, partial(torch.add, a, b, alpha=factor))
        yield Variant(description.format(first), canonical, partial(torch.add, b, a, alpha=factor))
    yield Variant("multiplies the two", "adds them", lambda: a * b)
    yield Variant("takes the mean of the two", "their sum", lambda: (a + b) / 2)
    yield Variant("divides the sum by sqrt(2)", "does not", lambda: (a + b) / 2**0.5)


def _product_variants(o: Operands) -> Iterator[Variant]:
    x, gain = o["x"], o["gain"]
    times = o.name("gain", "the gain")
    yield Variant(f"leaves {times} out", "multiplies by it", x.clone)
    yield Variant(f"adds {times}", "multiplies by it", lambda: x + gain)
    # A gain between 0 and 1 is the sigmoid of something; of any other the logit is NaN, which reproduces nothing.
    for description, canonical, factor in (
        (f"multiplies by the number whose sigmoid {times} is (no sigmoid)", times, gain.logit()),
        (f"multiplies by the sigmoid of {times} (a sigmoid too many)", times, gain.sigmoid()),
        (f"multiplies by tanh in place of the sigmoid in {times}", times, gain.logit().tanh()),
        (f"multiplies by tanh of {times}", times, gain.tanh()),
        (f"multiplies by 1 + {times}", times, 1 + gain),
        (f"multiplies by 1 - {times}", times, 1 - gain),
        (f"multiplies by exp of {times}", times, gain.exp()),
        (f"multiplies by relu of {times}", times, gain.relu()),
        (f"multiplies by {times} twice", "once", gain.square()),
        (f"multiplies by twice {times}", times, 2 * gain),
        (f"divides by {times}", "multiplies by it", 1 / gain),
        (f"multiplies by {times} in reverse", "in order", gain.flip(-1)),
    ):
        yield Variant(description, canonical, partial(torch.mul, x, factor))


def _times_variants(o: Operands) -> Iterator[Variant]:
    x, gain = o["x"], o["gain"]
    yield Variant(f"leaves {o.name('x')} out", f"multiplies {o.name('gain')} by it", lambda: gain.expand_as(x * gain))
    if "inner" in o:
        inner = o["inner"]
        for name in ("silu", "sigmoid", "tanh", "relu", "gelu_erf", "gelu_tanh"):
            words, function = FUNCTIONS[name]
            words = f"applies {words} to {o.name('x')} and not to {o.name('inner')}"
            yield Variant(words, "the other way round", partial(_with_one, function, x, inner))
    for variant in _product_variants(o):
        if not variant.description.startswith(f"leaves {o.name('gain', 'the gain')}"):
            yield variant
    yield Variant(f"leaves {o.name('gain')} out", "multiplies by it", lambda: x.expand_as(x * gain))


def _with_one(function: Callable[[Tensor], Tensor], x: Tensor, inner: Tensor) -> Tensor:
    return function(x) * inner


def _difference_variants(o: Operands) -> Iterator[Variant]:
    a, b = o["a"], o["b"]
    first, second = o.name("a"), o.name("b")
    yield Variant(f"leaves {second} out", "subtracts it", lambda: a.expand_as(a - b))
    yield Variant(f"leaves {first} out", f"subtracts {second} from it", lambda: -b.expand_as(a - b))
    yield Variant(f"adds {second}", "subtracts it", lambda: a + b)
    yield Variant(f"subtracts {first} from {second}", f"{second} from {first}", lambda: b - a)
    yield Variant(f"subtracts {second} twice", "once", lambda: a - 2 * b)
    yield Variant("multiplies the two", "subtracts", lambda: a * b)
    yield Variant("takes the difference's absolute", "the difference", lambda: (a - b).abs())


def _quotient_variants(o: Operands) -> Iterator[Variant]:
    x, by = o["x"], o["by"]
    name = o.name("by")
    yield Variant(f"does not divide by {name}", "does", lambda: x.expand_as(x / by))
    yield Variant(f"multiplies by {name}", "divides by it", lambda: x * by)
    yield Variant(f"divides by the root of {name}", "by itself", lambda: x / by.sqrt())
    yield Variant(f"divides by the square of {name}", "by itself", lambda: x / by.square())
    yield Variant(f"divides by 1 + {name}", "by itself", lambda: x / (1 + by))
    yield Variant(f"divides {name} by {o.name('x')}", "the other way round", lambda: by / x)
    yield Variant(f"subtracts {name}", "divides by it", lambda: x - by)


def _stack_variants(o: Operands) -> Iterator[Variant]:
    parts = list(o.tensors.values())
    yield Variant("stacks them last to first", "first to last", lambda: torch.stack(parts[::-1]))
    for part, key in zip(parts, o.keys.values(), strict=True):
        yield Variant(f"has {key} in every row", "each in its own", partial(torch.stack, [part] * len(parts)))


def _select_variants(o: Operands) -> Iterator[Variant]:
    x, own = o["x"], o.settings["row"]
    others = [row for row in range(x.shape[0]) if row != own]
    yield from for_each(others, f"takes row {{}} of {o.name('x')}", f"row {own}", lambda row: x[row])


OPERATIONS = {
    "same": OperationDefinition(lambda o: o["x"], _same_variants, rowwise("x")),
    "add": OperationDefinition(lambda o: o["a"] + o["b"], _add_variants, rowwise("a", "b")),
    "product": OperationDefinition(lambda o: o["x"] * o["gain"], _product_variants, rowwise("x", mixes=1)),
    "times": OperationDefinition(lambda o: o["x"] * o["gain"], _times_variants),
    "difference": OperationDefinition(lambda o: o["a"] - o["b"], _difference_variants),
    "quotient": OperationDefinition(lambda o: o["x"] / o["by"], _quotient_variants),
    "stack": OperationDefinition(lambda o: torch.stack(list(o.tensors.values())), _stack_variants),
    "select": OperationDefinition(lambda o: o["x"][o.settings["row"]], _select_variants),
}
