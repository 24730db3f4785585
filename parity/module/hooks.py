"""Watching any torch module from outside, and putting other tensors in the place of its own.

What is handed out, in order of computation: every submodule's outputs under the submodule's path, and those of its
inputs that no submodule put out, under the path and `.in`: so what happens between submodules is seen too. Of several
outputs (a tuple, a list, a dict, nested at will) each has its place after the path: an LSTM's are `rnn.0`, `rnn.1.0`
and `rnn.1.1`. A submodule that is called again has `#2` and so on behind its path. The module's own outputs are
`output`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn

from parity.subject.gradient_probe import Note

NAME = "_parity_name"
"""The attribute under which a tensor that was handed out keeps its name."""


def name_of(tensor: Tensor) -> str | None:
    """The name under which this very tensor object was handed out, if it was."""
    return getattr(tensor, NAME, None)


class Listener:
    """Told of every call of a submodule; this one does nothing."""

    def following(self) -> AbstractContextManager[object]:
        """What the module is run within."""
        return nullcontext()

    def began(self, module: nn.Module, taken: list[Tensor]) -> None:
        """The whole module begins, with the tensors it is given."""

    def ended(self, module: nn.Module, output: Any) -> None:
        """The whole module has ended."""

    def entered(self, module: nn.Module, path: str, called: str, taken: list[Tensor]) -> None:
        """A submodule begins: its path, the name of this call, and the tensors it is given, as it computes on them."""

    def left(self, module: nn.Module) -> None:
        """It has ended, and its outputs are about to be handed out."""


@contextmanager
def watched(module: nn.Module, note: Note, listener: Listener | None = None) -> Iterator[None]:
    """Call `note` with every tensor of every pass through `module`, and go on with what it returns."""
    listener = listener or Listener()
    calls: Counter[str] = Counter()
    under_way: dict[str, str] = {}

    def handed_out(name: str, tensor: Tensor) -> Tensor:
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
            args, kwargs = mapped(args, inside, handed_out), mapped(kwargs, inside, handed_out)
            listener.entered(inner, path, under_way[path], [*tensors_in((args, kwargs))])
            return args, kwargs

        return hook

    def after(path: str) -> Callable[..., Any]:
        def hook(inner: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            listener.left(inner)
            return mapped(output, under_way[path], handed_out)

        return hook

    def begun(whole: nn.Module, args: Any, kwargs: Any) -> None:
        listener.began(whole, [*tensors_in((args, kwargs))])

    def over(whole: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        listener.ended(whole, output)

    handles: list[Any] = [module.register_forward_pre_hook(begun, with_kwargs=True)]
    handles.append(module.register_forward_hook(over, with_kwargs=True))
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
