"""One step of a scene, with what it computes from and what it gives: what generic variants are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from torch import Tensor

from parity.diagnosis.interpreter import Interpreter
from parity.diagnosis.operation import Kind, Operands, Variant
from parity.subject.scene import Scene


@dataclass(frozen=True)
class Here:
    """The step of `site`, by its canonical formula."""

    machine: Interpreter
    site: str
    kind: Kind
    operands: Operands
    result: Tensor

    @classmethod
    def of(cls, machine: Interpreter, site: str) -> Here | None:
        """None if the step is not known, or cannot be computed."""
        kind, result = machine.kind(site), machine.computed(site)
        return None if kind is None or result is None else cls(machine, site, kind, machine.operands(site), result)

    @property
    def scene(self) -> Scene:
        return self.machine.scene

    @cached_property
    def floats(self) -> dict[str, Tensor]:
        """The inputs that are no ids, by role."""
        return {role: t for role, t in self.operands.tensors.items() if t.is_floating_point()}

    @cached_property
    def leaves(self) -> list[str]:
        """The roles of inputs that no step computes: parameters, and what is carried in."""
        return [role for role in self.floats if self.name(role) not in self.scene.operations]

    @cached_property
    def _order(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.scene.operations)}

    def name(self, role: str) -> str:
        """The key of an input."""
        return self.operands.keys[role]

    def precedes(self, key: str) -> bool:
        """Whether `key` is there before this step: it is a parameter, or has no step, or an earlier one."""
        step = self.scene.operations.get(key)
        return step is None or step.name == "parameter" or self._order[key] < self._order[self.site]

    def with_inputs(
        self, description: str, canonical_description: str, tensors: dict[str, Tensor], zeros: bool = False
    ) -> Variant:
        """The step with other tensors for some roles."""
        return Variant(
            description, canonical_description, partial(self.kind.compute, self.operands.having(**tensors)), zeros=zeros
        )

    def sizes(self, *tensors: Tensor) -> list[int]:
        """Sizes that a scale may come from."""
        shapes = [self.operands.shape(role) for role in self.operands.tensors]
        settings = [value for value in self.operands.settings.values() if type(value) is int]
        found = [size for shape in (*(t.shape for t in tensors), *shapes) for size in shape]
        return list(dict.fromkeys([*found, *settings]))


def axis_names(scene: Scene, key: str, ndim: int) -> Sequence[str]:
    """The axes of a tensor in words: as its step names them in the setting `axes`, else by number."""
    step = scene.operations.get(key)
    names = () if step is None else step.settings.get("axes", ())
    if len(names) == ndim:
        return [f"the {name} axis" for name in names]
    return [f"axis {axis}" for axis in range(ndim)]
