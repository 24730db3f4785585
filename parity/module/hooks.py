"""Watching any torch module from outside, and replacing its tensors.

What is noted, in order of computation: every submodule's outputs under the submodule's path, and those of its inputs
that no submodule returned, under the path and `.in`, so that what happens between submodules is seen too. Of several
outputs (a tuple, a list, a dict, nested at will) each has its place after the path: an LSTM's are `rnn.0`, `rnn.1.0`
and `rnn.1.1`. A submodule that is called again has `#2` and so on after its path. The module's own outputs are
`output`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from parity.subject.gradient_probe import Note

NAME = "_parity_name"
"""The attribute in which a tensor that was noted keeps its name."""


def name_of(tensor: Tensor) -> str | None:
    """The name under which this very tensor object was noted, if it was."""
    return getattr(tensor, NAME, None)


Called = Callable[[nn.Module, str, str, list[str]], None]
"""A function that is told of every call: the submodule, its path, the call's name, and the names of its tensors."""


def ignored(module: nn.Module, path: str, called: str, taken: list[str]) -> None:
    """A `Called` that does nothing."""


@contextmanager
def watched(module: nn.Module, note: Note, called: Called = ignored) -> Iterator[None]:
    """Call `note` with every tensor of every pass through `module`, which continues with what `note` returns."""
    calls: Counter[str] = Counter()
    under_way: dict[str, str] = {}

    def noted(name: str, tensor: Tensor) -> Tensor:
        if name_of(tensor) is not None:
            return tensor
        other = note(name, tensor)
        setattr(other, NAME, name)
        return other

    def before(path: str) -> Callable[..., Any]:
        def hook(inner: nn.Module, args: Any, kwargs: Any) -> Any:
            calls[path] += 1
            under_way[path] = path if calls[path] == 1 else f"{path}#{calls[path]}"
            inside = f"{under_way[path]}.in"
            args, kwargs = mapped(args, inside, noted), mapped(kwargs, inside, noted)
            called(inner, path, under_way[path], [name_of(tensor) or "" for tensor in tensors_in((args, kwargs))])
            return args, kwargs

        return hook

    def after(path: str) -> Callable[..., Any]:
        return lambda module, args, kwargs, output: mapped(output, under_way[path], noted)

    handles = []
    for path, inner in module.named_modules():
        if path:
            handles.append(inner.register_forward_pre_hook(before(path), with_kwargs=True))
            handles.append(inner.register_forward_hook(after(path), with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def mapped(value: Any, name: str, change: Note) -> Any:
    """A nested value with every floating-point tensor in it changed; `name` grows by the places on the way to it."""
    if isinstance(value, Tensor):
        return change(name, value) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: mapped(entry, f"{name}.{key}", change) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        places = [name] if len(value) == 1 else [f"{name}.{i}" for i in range(len(value))]
        entries = [mapped(entry, place, change) for entry, place in zip(value, places, strict=True)]
        return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in a nested value, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(entry)
