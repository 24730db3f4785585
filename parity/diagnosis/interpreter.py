"""Recomputing tensors of a scene by their operations, as they are or with one operation changed.

An unrecorded tensor is computed from what was recorded before it, by as many operations as that takes. Of a large
tensor only a window of rows is computed, and of its inputs only what these rows come from.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from parity.diagnosis.definition import Operands, OperationDefinition
from parity.diagnosis.operations import OPERATIONS
from parity.diagnosis.window import LARGE, Window
from parity.subject.scene import Scene

LONG = 40
"""Operations of a chain, from which on there are few variants of each."""
UNFIT = (RuntimeError, IndexError, KeyError, ValueError, ZeroDivisionError, OverflowError)
"""What torch and Python raise where a formula does not fit its operands' shapes or settings."""


def attempt(compute: Callable[[], Tensor]) -> Tensor | None:
    """What `compute` gives, or None where its formula does not fit these operands."""
    try:
        return compute()
    except UNFIT:
        return None


@dataclass(frozen=True)
class Goal:
    """A tensor that variants of an operation should lead to, at the operation itself or at a later one."""

    key: str
    tensor: Tensor


class Interpreter:
    """The operations that lead to one tensor, `target`, from what the reference recorded."""

    def __init__(self, scene: Scene, target: str) -> None:
        self.scene, self.target = scene, target
        self.window = Window(scene, target)
        self.nodes = self._chain()
        """The target and the unrecorded operations before it, in order of computation, the target last."""
        self._values: dict[str, Tensor | None] = {}
        self._operands: dict[str, Operands] = {}
        self._following: dict[tuple[frozenset[str], str], list[str]] = {}
        self._narrows: dict[str, list[bool]] = {}
        self._under_way: set[str] = set()

    def definition(self, key: str) -> OperationDefinition | None:
        """The definition of the operation that computes `key`; None if there is none."""
        operation = self.scene.operations.get(key)
        return None if operation is None else OPERATIONS.get(operation.name)

    def _chain(self) -> list[str]:
        found: dict[str, None] = {}

        def visit(key: str) -> None:
            if key in found or self.definition(key) is None or (key != self.target and key in self.scene.reference):
                return
            for source in self.scene.operations[key].inputs.values():
                if source != key:
                    visit(source)
            found[key] = None

        visit(self.target)
        return list(found)

    @property
    def sources(self) -> list[str]:
        """What the chain starts from: recorded tensors, parameters and constants."""
        inputs = [key for node in self.nodes for key in self.scene.operations[node].inputs.values()]
        return [key for key in dict.fromkeys(inputs) if key not in self.nodes]

    def value(self, key: str) -> Tensor | None:
        """An operation's input: as recorded; else as computed from what was; else as the subject has it; else None."""
        if key in self.scene.reference:
            return self.recorded(key)
        if key not in self._values:
            self._values[key] = self.computed(key)
        if self._values[key] is None and key in self.scene.subject:
            self._values[key] = self.subject(key)
        return self._values[key]

    def computed(self, key: str, changed: Mapping[str, Tensor] | None = None) -> Tensor | None:
        """`key` by its canonical formula, computed from the values in `changed` where it has any."""
        definition = self.definition(key)
        if definition is None or key in self._under_way:
            return None
        self._under_way.add(key)
        try:
            operands = self.operands(key, changed)
        finally:
            self._under_way.discard(key)
        result = attempt(lambda: definition.compute(operands))
        return None if result is None else self.window.cut(key, result)

    def operands(self, key: str, changed: Mapping[str, Tensor] | None = None) -> Operands:
        """What the operation of `key` computes from."""
        operation = self.scene.operations[key]
        given = self._canonical_operands(key)
        if not changed or changed.keys().isdisjoint(operation.inputs.values()):
            return given
        tensors, shapes = {}, {}
        for role, source in operation.inputs.items():
            if source in changed:
                tensors[role], shapes[role] = self._as_input(key, role, changed[source])
            elif role in given:
                tensors[role], shapes[role] = given[role], given.shapes[role]
        return Operands(tensors, operation.settings, given.keys, shapes)

    def _canonical_operands(self, key: str) -> Operands:
        if key in self._operands:
            return self._operands[key]
        operation = self.scene.operations[key]
        tensors, shapes = {}, {}
        for role, source in operation.inputs.items():
            value = self.value(source)
            if value is not None:
                tensors[role], shapes[role] = self._as_input(key, role, value)
        operands = Operands(tensors, operation.settings, dict(operation.inputs), shapes)
        if self._under_way <= {key}:  # of operations that wait for this one, values are missing
            self._operands[key] = operands
        return operands

    def _as_input(self, key: str, role: str, value: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """The rows of an input that the rows of `key` come from, and the shape that the whole of it has."""
        if self.window.covers_all:
            rows, shape = value, tuple(value.shape)
        else:
            rows, shape = self.window.as_input(key, role, value), self.window.whole_shape(key, role, value)
        return rows.to(torch.float64) if rows.is_floating_point() else rows, shape

    def through(self, values: Mapping[str, Tensor], to: str) -> Tensor | None:
        """The tensor `to` if some keys have other values, and what follows from these is computed canonically."""
        changed = {key: self.window.cut(key, value) for key, value in values.items()}
        for key in self._after(frozenset(changed), to):
            computed = self.computed(key, changed)
            if computed is None:
                return None
            changed[key] = computed
        return changed.get(to)

    def narrows(self, node: str, value: Tensor, to: str) -> Iterator[tuple[str, Tensor | None]]:
        """`node` with another value, and what follows as far as `to`, one tensor after another, with their keys.

        Only those of which alone, of all that has another value then, the rest is computed; the last is `to`, or None
        where it cannot be computed.
        """
        order = [node, *self._after(frozenset([node]), to)]
        changed = {node: self.window.cut(node, value)}
        for key, is_narrow in zip(order, self._narrow(node, order), strict=True):
            if key != node:
                computed = self.computed(key, changed)
                if computed is None:
                    yield to, None
                    return
                changed[key] = computed
            if is_narrow:
                yield key, changed[key]

    def _narrow(self, node: str, order: list[str]) -> list[bool]:
        """For each of these operations, whether what comes later in the order takes nothing of it but this."""
        if node not in self._narrows:
            found = []
            for place, key in enumerate(order, 1):
                later = {source for other in order[place:] for source in self.scene.operations[other].inputs.values()}
                found.append(later.isdisjoint(set(order[:place]) - {key}))
            self._narrows[node] = found
        return self._narrows[node]

    def _after(self, keys: frozenset[str], to: str) -> list[str]:
        """The operations up to `to` that compute from any of these keys, in order of computation."""
        if (keys, to) not in self._following:
            reached, found = set(keys), []
            for key in self.nodes[: self.nodes.index(to) + 1]:
                if key not in keys and not reached.isdisjoint(self.scene.operations[key].inputs.values()):
                    reached.add(key)
                    found.append(key)
            self._following[keys, to] = found
        return self._following[keys, to]

    @property
    def is_long(self) -> bool:
        """Whether so many operations follow one another that each is tried by its own variants alone."""
        return len(self.nodes) > LONG

    def is_slow(self, node: str) -> bool:
        """Whether an operation must be run over all of a long sequence, and so can be run only a few times."""
        definition = self.definition(node)
        if definition is None or not definition.causal or not self.window.covers_all:
            return False
        inputs = [self.value(key) for key in self.scene.operations[node].inputs.values()]
        return any(tensor is not None and tensor.ndim == 3 and tensor.numel() > LARGE for tensor in inputs)

    def subject(self, key: str) -> Tensor:
        """What the subject has for `key`, in the window."""
        return self.window.cut(key, self.scene.subject[key])

    def recorded(self, key: str) -> Tensor:
        """What the reference has for `key`, in the window."""
        return self.window.cut(key, self.scene.reference[key])
