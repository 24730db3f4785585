"""Running what `torch.compile` was given instead of what it made: compiled code hands no intermediate out."""

import copy
from typing import cast

from torch import nn

ORIGINAL = "_orig_mod"
"""The attribute of a compiled module that holds the module it was made of."""


def uncompiled(module: nn.Module) -> nn.Module:
    """The module without anything compiled in it, with the same parameters; the module itself if nothing is."""
    return _uncompiled(module, {})


def _uncompiled(module: nn.Module, known: dict[int, nn.Module]) -> nn.Module:
    """A module that is used in two places stays one module."""
    if id(module) not in known:
        original = cast(nn.Module, getattr(module, ORIGINAL, module))
        inner = {name: None if m is None else _uncompiled(m, known) for name, m in original._modules.items()}
        same = all(new is old for new, old in zip(inner.values(), original._modules.values(), strict=True))
        if not same or getattr(original, "_compiled_call_impl", None) is not None:
            original = copy.copy(original)
            original._modules = inner
            original._compiled_call_impl = None
        known[id(module)] = original
    return known[id(module)]
