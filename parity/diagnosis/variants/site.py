"""One operation of a scene, with what it computes from and what it gives: what generic variants are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant
from parity.diagnosis.interpreter import Interpreter
from parity.subject.scene import Scene


@dataclass(frozen=True)
class Site:
    """The operation of `node`, by its canonical formula."""

    interpreter: Interpreter
    node: str
    definition: OperationDefinition
    operands: Operands
    result: Tensor

    @classmethod
    def of(cls, interpreter: Interpreter, node: str) -> Site | None:
        """None if the operation is not known, or cannot be computed."""
        definition, result = interpreter.definition(node), interpreter.computed(node)
        return (
            None
            if definition is None or result is None
            else cls(interpreter, node, definition, interpreter.operands(node), result)
        )

    @property
    def scene(self) -> Scene:
        return self.interpreter.scene

    @cached_property
    def floats(self) -> dict[str, Tensor]:
        """The inputs that are no ids, by role."""
        return {role: t for role, t in self.operands.tensors.items() if t.is_floating_point()}

    @cached_property
    def leaves(self) -> list[str]:
        """The roles of inputs that no operation computes: parameters, and what is carried in."""
        return [role for role in self.floats if self.name(role) not in self.scene.operations]

    @cached_property
    def _order(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self.scene.operations)}

    def name(self, role: str) -> str:
        """The key of an input."""
        return self.operands.keys[role]

    def precedes(self, key: str) -> bool:
        """Whether `key` is there before this operation: it is a parameter, or has no operation, or an earlier one."""
        operation = self.scene.operations.get(key)
        return operation is None or operation.name == "parameter" or self._order[key] < self._order[self.node]

    def with_inputs(
        self, description: str, canonical_description: str, tensors: dict[str, Tensor], zeros: bool = False
    ) -> Variant:
        """The operation with other tensors for some roles."""
        return Variant(
            description,
            canonical_description,
            partial(self.definition.compute, self.operands.having(**tensors)),
            zeros=zeros,
        )

    def sizes(self, *tensors: Tensor) -> list[int]:
        """Sizes that a scale may come from."""
        shapes = [self.operands.shape(role) for role in self.operands.tensors]
        settings = [value for value in self.operands.settings.values() if type(value) is int]
        found = [size for shape in (*(t.shape for t in tensors), *shapes) for size in shape]
        return list(dict.fromkeys([*found, *settings]))


def axis_names(scene: Scene, key: str, ndim: int) -> Sequence[str]:
    """The axes of a tensor in words: as its operation names them in the setting `axes`, else by number."""
    operation = scene.operations.get(key)
    names = () if operation is None else operation.settings.get("axes", ())
    if len(names) == ndim:
        return [f"the {name} axis" for name in names]
    return [f"axis {axis}" for axis in range(ndim)]
