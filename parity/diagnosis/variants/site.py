"""One operation of a scene, with what it computes from and what it gives: what generic variants are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition, Variant
from parity.diagnosis.interpreter import Interpreter
from parity.subject.scene import Operation, Scene


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
        """The site of `node`; None if its operation is not known, or cannot be computed."""
        definition, result = interpreter.definition(node), interpreter.computed(node)
        if definition is None or result is None:
            return None
        return cls(interpreter, node, definition, interpreter.operands(node), result)

    @property
    def scene(self) -> Scene:
        return self.interpreter.scene

    @property
    def operation(self) -> Operation:
        return self.scene.operations[self.node]

    @property
    def scale_meaning(self) -> str:
        """What a wrong scale of the result means, in brackets, for the end of a description."""
        return f" ({self.definition.scale_meaning})" if self.definition.scale_meaning else ""

    @cached_property
    def floats(self) -> dict[str, Tensor]:
        """The inputs in floating point, by role."""
        return {role: t for role, t in self.operands.tensors.items() if t.is_floating_point()}

    @cached_property
    def leaves(self) -> list[str]:
        """The roles of inputs that no operation computes: parameters, and what is carried in."""
        return [role for role in self.floats if self.name(role) not in self.scene.operations]

    @cached_property
    def earlier(self) -> dict[str, Tensor]:
        """The tensors before this operation, by key: parameters, those that none computes, and earlier results."""
        order = {key: place for place, key in enumerate(self.scene.operations)}

        def precedes(key: str) -> bool:
            operation = self.scene.operations.get(key)
            return operation is None or operation.name == "parameter" or order[key] < order[self.node]

        there = {**self.scene.subject, **self.scene.reference}
        return {key: tensor for key, tensor in there.items() if key != self.node and precedes(key)}

    def name(self, role: str) -> str:
        """The key of an input."""
        return self.operands.keys[role]

    def names(self, roles: Sequence[str]) -> str:
        """The keys of several inputs, separated by commas."""
        return ", ".join(map(self.name, roles))

    def computed(self, operands: Operands) -> Tensor:
        """The operation's result on other operands."""
        return self.definition.compute(operands)

    def with_inputs(
        self, description: str, canonical_description: str, tensors: dict[str, Tensor], zeros: bool = False
    ) -> Variant:
        """The operation with other tensors for some roles."""
        compute = partial(self.computed, self.operands.having(**tensors))
        return Variant(description, canonical_description, compute, zeros=zeros)

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
