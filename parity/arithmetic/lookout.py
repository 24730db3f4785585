"""Where a computation draws random numbers or gives up digits, found by looking at every operation of a run."""

import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ENGINES = (Path(torch.__file__).parent, Path(__file__).parent.parent)
"""What stands between an operation and the line of the subject that asks for it."""
STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
BACKWARD = "in the backward pass"
HALF = (torch.float16, torch.bfloat16)


class Lookout(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, notes the operations of torch on this thread that are drawn at random or in half precision.

    It changes nothing.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.random: dict[str, None] = {}
        """What is drawn at random and where, such as "native_dropout at model.py:12", in order, each once."""
        self.half: dict[str, None] = {}
        """The same of what is computed in float16 or bfloat16."""

    @property
    def at_random(self) -> str:
        """What was drawn at random, as a sentence's end; "" for nothing."""
        return f"draws random numbers ({_places(self.random)})" if self.random else ""

    @property
    def in_half(self) -> str:
        """What was computed in half precision, as a sentence's end; "" for nothing."""
        return f"computes in half precision ({_places(self.half)})" if self.half else ""

    @property
    def findings(self) -> list[str]:
        """Both, as far as there are any."""
        return [found for found in (self.at_random, self.in_half) if found]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one operation as it is."""
        result = func(*args, **(kwargs or {}))
        operation = func.overloadpacket.__name__
        if torch.Tag.nondeterministic_seeded in func.tags and _draws(func, args, kwargs or {}):
            self.random[f"{operation} {_asked_from(sys._getframe(1))}"] = None
        if isinstance(result, Tensor) and result.dtype in HALF:
            self.half[f"{str(result.dtype).removeprefix('torch.')} {_asked_from(sys._getframe(1))}"] = None
        return result


def _draws(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operation that may draw random numbers does: attention without dropout draws none."""
    named = {a.name: value for a, value in zip(func._schema.arguments, args, strict=False)} | dict(kwargs)
    defaults = {a.name: a.default_value for a in func._schema.arguments if a.has_default_value()}
    return {**defaults, **named}.get("dropout_p") != 0


def _places(found: dict[str, None]) -> str:
    """What a backward pass does follows from the forward pass, where that shows it."""
    forward = [place for place in found if not place.endswith(BACKWARD)]
    return "; ".join(forward or found)


def raised_at(traceback: TracebackType | None) -> str:
    """Where the subject raised: file and line of its innermost frame."""
    frame = None
    while traceback is not None:
        if not _is_engine(traceback.tb_frame):
            frame = f"{_short(traceback.tb_frame)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return frame or "a line of torch's or the suite's own"


def _asked_from(frame: FrameType | None) -> str:
    if torch._C._current_autograd_node() is not None:
        return BACKWARD
    while frame is not None and _is_engine(frame):
        frame = frame.f_back
    return f"at {_short(frame)}:{frame.f_lineno}" if frame is not None else BACKWARD


def _is_engine(frame: FrameType) -> bool:
    path = Path(frame.f_code.co_filename)
    if path.name.startswith("<") or any(path.is_relative_to(engine) for engine in ENGINES):
        return True
    return path.is_relative_to(STANDARD_LIBRARY) and "site-packages" not in path.parts


def _short(frame: FrameType) -> str:
    """The file with the folder that it is in, which tells two `model.py` apart."""
    return "/".join(Path(frame.f_code.co_filename).parts[-2:])
