"""A convolution as torch has it (a correlation), over 1, 2 or 3 axes.

Roles: x (B, C, ...), weight (O, C / groups, ...), bias (O,) or none. Settings, one number for every axis: `stride`,
`padding`, `dilation`; `groups`; `mode` of the padding, "zeros", "reflect", "replicate" or "circular".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from parity.diagnosis.definition import Operands
from parity.diagnosis.formula import Change, Formula, Options, flipped, on
from parity.diagnosis.operations.weights import bias_changes

Numbers = tuple[int, ...]
MODES = {
    "zeros": "zeros",
    "reflect": "what is reflected",
    "replicate": "what is at the border",
    "circular": "the other end",
}


def _compute(
    o: Operands,
    stride: Numbers = (1,),
    padding: Numbers = (0,),
    dilation: Numbers = (1,),
    groups: int = 1,
    mode: str = "zeros",
    shift: int = 0,  # how much of the padding goes from the end of every axis to its start
) -> Tensor:
    x, axes = o["x"], o["weight"].ndim - 2
    x = x if x.ndim > axes + 1 else x[None]
    ends = [n for p in reversed(padding) for n in (p + shift, p - shift)]
    if any(ends):
        x = F.pad(x, ends) if mode == "zeros" else F.pad(x, ends, mode=mode)
    function = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    y = function(x, o["weight"], o.get("bias"), stride, 0, dilation, groups)
    return y if o["x"].ndim > axes + 1 else y[0]


CONV = Formula(_compute)


def _changes(o: Operands, options: Options) -> Iterator[Change]:
    weight = o["weight"]
    kernel = tuple(range(2, weight.ndim))
    words = "turns the kernel round (a convolution)"
    yield Change(words, "does not (a correlation)", operands=on(partial(torch.flip, dims=kernel), "weight"))
    if len(kernel) > 1:
        for axis in kernel:
            yield Change(f"turns the kernel round along axis {axis}", "does not", operands=flipped(axis, "weight"))
    for order in [*permutations(range(weight.ndim))][1:]:
        spelled = ", ".join(map(str, order))
        if tuple(weight.shape[axis] for axis in order) == tuple(weight.shape):
            moved = on(partial(torch.permute, dims=order), "weight")
            yield Change(f"takes the axes of the weight in the order {spelled}", "in their own", operands=moved)
        else:
            moved = on(partial(_reread, order), "weight")
            words = f"reads the weight, its axes in the order {spelled}, as if they were in their own"
            yield Change(words, "as it is", operands=moved)
    if "bias" in o:
        yield from bias_changes("bias", "the bias")
    for axis, name in ((0, "output"), (1, "input")):
        if weight.shape[axis] > 1:
            words = f"takes the weight's {name} channels in reverse"
            yield Change(words, "in order", operands=flipped(axis, "weight"))
    yield from _paddings(o, options)
    for name in ("stride", "dilation"):
        for n in (1, 2, 3, 4):
            other = (n,) * len(kernel)
            if other != tuple(options[name]):
                yield Change(f"has a {name} of {n}", str(options[name][0]), {name: other})
                same = tuple(n * (k - 1) // 2 for k in weight.shape[2:])
                if name == "dilation" and same != tuple(options["padding"]):
                    words = f"has a {name} of {n} and a padding of {same[0]}"
                    yield Change(
                        words, f"{options[name][0]} and {options['padding'][0]}", {name: other, "padding": same}
                    )
    yield from _groupings(o, options)


def _reread(order: Numbers, weight: Tensor) -> Tensor:
    return weight.permute(order).reshape(weight.shape)


def _paddings(o: Operands, options: Options) -> Iterator[Change]:
    own, sizes = tuple(options["padding"]), o["weight"].shape[2:]
    for mode, words in MODES.items():
        yield Change(f"pads with {words}", f"with {MODES[options['mode']]}", {"mode": mode})
    most = max(own)
    for shift in range(1, most + 1):
        for sign, end in ((shift, "start"), (-shift, "end")):
            words = f"has {shift} more of the padding at the {end} of every axis"
            yield Change(words, "as much at both ends", {"shift": sign})
    for n in range(max(sizes) + 1):
        other = (n,) * len(sizes)
        if other != own:
            yield Change(f"has a padding of {n}", str(own[0]), {"padding": other})
    causal = options["dilation"][0] * (sizes[0] - 1)
    if len(sizes) == 1 and causal % 2 == 0 and own != (causal // 2,):
        words = "pads at the start alone (causal)"
        yield Change(words, "at both ends", {"padding": (causal // 2,), "shift": causal // 2})


def _groupings(o: Operands, options: Options) -> Iterator[Change]:
    groups, channels = options["groups"], o["x"].shape[1] if o["x"].ndim == o["weight"].ndim else o["x"].shape[0]
    if groups > 1 and channels % groups == 0:
        woven = torch.arange(channels).reshape(-1, groups).mT.flatten()
        axis = o["x"].ndim - o["weight"].ndim + 1
        words = f"gives each of its {groups} groups every {groups}th channel"
        yield Change(words, "neighbouring ones", operands=on(partial(torch.index_select, dim=axis, index=woven), "x"))
        out = torch.arange(o["weight"].shape[0]).reshape(groups, -1).roll(1, 0).flatten()
        both = on(partial(torch.index_select, dim=0, index=out), *(r for r in ("weight", "bias") if r in o))
        yield Change("takes the groups' weights in another order (one later)", "in order", operands=both)


OPERATIONS = {"conv": CONV.definition(_changes)}
