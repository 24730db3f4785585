"""What of a module may be set otherwise: numbers of heads or groups, and switches."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

MOST = 24
"""Other settings of one submodule that are tried."""
NOT_TRIED = {"training", "_is_full_backward_hook"}


def other_settings(module: nn.Module, key: str) -> Iterator[tuple[str, dict[str, object]]]:
    """The paths of submodules about the tensor `key`, each with attributes of other values than it has."""
    paths = [path for path, _ in module.named_modules() if path == "" or key.startswith(path)]
    for path in sorted(paths, key=len, reverse=True)[:3]:
        found = [*_switches(module.get_submodule(path)), *_numbers(module.get_submodule(path))]
        yield from ((path, others) for others in found[:MOST])


def _switches(module: nn.Module) -> Iterator[dict[str, object]]:
    for name, value in vars(module).items():
        if isinstance(value, bool) and name not in NOT_TRIED and not name.startswith("_"):
            yield {name: not value}


def _numbers(module: nn.Module) -> Iterator[dict[str, object]]:
    """A whole number that divides a size, with the one that it is a factor to, such as heads and their width."""
    own = {n: v for n, v in vars(module).items() if type(v) is int and v > 0 and not n.startswith("_")}
    sizes = {n for p in module.parameters() for n in p.shape} | set(own.values())
    paired: list[dict[str, object]] = []
    alone: list[dict[str, object]] = []
    for name, value in own.items():
        partners = [other for other, v in own.items() if other != name and v * value in sizes and value > 1]
        wholes = sorted({size for size in sizes if size % value == 0 and size > value})
        others = [*dict.fromkeys(d for whole in wholes for d in _divisors(whole) if d != value)]
        for partner in partners:
            whole = value * own[partner]
            paired += [{name: other, partner: whole // other} for other in others if whole % other == 0]
        alone += [{name: other} for other in others]
    yield from (*paired, *alone)


def _divisors(whole: int) -> list[int]:
    return [d for d in range(1, min(whole, 64) + 1) if whole % d == 0]
