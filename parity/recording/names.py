"""The names of a recording's tensors: `<group>/<number>/<path>`, or `<group>/<path>` for what belongs to no segment."""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class TensorName:
    """A tensor's name in its parts."""

    group: str
    """`param`, `input`, `eval`, `carry`, `agrad`, `grad`, `train`, ...; "" for a name without a group."""
    index: int | None
    """The segment or update, from 1; None for what belongs to none."""
    path: str
    """The rest: the tensor's own name."""

    def __str__(self) -> str:
        return "/".join(str(part) for part in (self.group, self.index, self.path) if part not in ("", None))

    @property
    def heading(self) -> str:
        """What the name begins with: its group, or all of a name that has none."""
        return self.group or self.path

    @property
    def layer(self) -> str:
        """The name without its number, and without `eval/`: what segments have in common."""
        if self.index is None:
            return str(self)
        return self.path if self.group == "eval" else f"{self.group}/{self.path}"

    @property
    def is_forward(self) -> bool:
        """Whether a forward pass computes it."""
        return self.group == "eval"

    @property
    def is_gradient(self) -> bool:
        """Whether it comes from a backward pass (`grad`, `agrad`, `gradnorm`, ...), or from the update after one."""
        return "grad" in self.group or self.group == "train"


@lru_cache(maxsize=4096)
def parse(name: str) -> TensorName:
    """The parts of a name. Never fails: a name in another form is all path."""
    group, slash, rest = name.partition("/")
    if not slash:
        return TensorName("", None, name)
    number, slash, inner = rest.partition("/")
    if not slash or not number.isdigit():
        return TensorName(group, None, rest)
    return TensorName(group, int(number), inner)
