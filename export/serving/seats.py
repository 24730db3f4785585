"""Sequences of any age that step together: their state in place, in seats, of which a step is of the first n.

A sequence is in memory in one of two forms: as a value, as segments leave it, or in a seat, as steps need it. It sits
down when a step is due to it and rises when it is fed a segment, or when it only keeps others apart. No state is copied
for a step: those that are due are among the first n seats, and a seat between them whose sequence is not due, or which
is empty, is computed with the others and keeps its state bit for bit. Only after `PATIENCE` such steps does the last
one that is due move there.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import IOBinding

from export.serving.held import nbytes
from export.serving.onnx_sessions import OnnxSessions
from export.serving.places import Place, reserved
from export.serving.ring import Slots, slots_needed
from export.serving.segment_state import SegmentState
from export.serving.step_buffers import StepBuffers
from export.serving.step_inputs import step_inputs

PATIENCE = 16
"""How many steps a seat between those that are due may be computed for nothing, and a ring be larger than is needed.
Moving a sequence costs as much as some steps, and a pause is often short."""
KEPT = 16
"""Of so many numbers of seats and sizes of ring the buffers are kept. Of every number they would take as much as the
square of the slots; new ones take a small part of a step."""


@dataclass(eq=False)
class Resident:
    """The state of one sequence in memory: `value`, or what is in a seat, its memory in `slots` of the ring there."""

    value: SegmentState | None
    seat: int | None = None
    slots: Slots | None = None

    @property
    def rows(self) -> int:
        """How many rows its ring or memory holds."""
        if self.slots is not None:
            return self.slots.held
        assert self.value is not None
        return self.value.rows


class Seats:
    """`count` seats of one export on its device, all with rings of one size: what the longest memory due needs.

    A ring has one slot more than that, the last, which no step attends to: what is not due writes there.
    """

    def __init__(self, graphs: OnnxSessions, count: int) -> None:
        self._graphs, self._config = graphs, graphs.config
        self._dtype = np.dtype(graphs.manifest.precision)
        self._capacity = 0
        self._at: list[Resident | None] = [None] * count
        self._idle = [0] * count
        """Of each seat, how many steps in a row it was computed for nothing."""
        self._larger = 0
        """How many steps in a row a smaller ring would have done."""
        self._steps: dict[tuple[int, int], StepBuffers] = {}
        H, most = self._config.emb, graphs.manifest.capacity + 1
        self._memory = {
            name: reserved(count * H * (most if name.endswith("ring") else 1), self._dtype, graphs.device)
            for i in range(self._config.layers)
            for name in (f"layers.{i}.h", f"layers.{i}.c", *([f"layers.{i}.ring"] if self._config.attends(i) else []))
        }

    @property
    def nbytes(self) -> int:
        """Bytes of the state of all seats, taken or not."""
        return nbytes(self._memory.values())

    @property
    def nbytes_of_steps(self) -> int:
        """Bytes of what steps are given, and of their logits."""
        return sum(buffers.nbytes for buffers in self._steps.values())

    def step(self, tokens: Mapping[Resident, int]) -> NDArray[np.float32]:
        """Feed an id to each of these, at most as many as there are seats, in one run; logits (n, V), in their order.

        Raises `ExportError`, with nothing fed, if a memory would be longer than the export's rings can be.
        """
        self._fit(self.needs(max(tokens, key=_rows)))
        for resident in tokens:
            if resident.seat is None:
                self._sit(resident, tokens)
        self._close_up(tokens)
        seats = [_seat(resident) for resident in tokens]
        n = self._size(max(seats) + 1)
        ids, due = np.zeros(n, np.int64), np.zeros(n, bool)
        slots, held = np.full(n, self._capacity), np.ones(n, np.int64)
        ids[seats], due[seats] = list(tokens.values()), True
        for resident, seat in zip(tokens, seats, strict=True):
            ring = _slots(resident)
            slots[seat], held[seat] = ring.next, min(ring.held + 1, ring.capacity)
        logits = self._run(n, step_inputs(self._config, ids, due, slots, held), tokens)
        for resident in tokens if self._config.attention_layers else ():
            _slots(resident).advance()
        self._idle[:n] = [0 if is_due else idle + 1 for is_due, idle in zip(due, self._idle[:n], strict=True)]
        found: NDArray[np.float32] = logits[seats]
        return found

    def needs(self, resident: Resident) -> int:
        """How many slots its next step needs. Raises `ExportError` if the export's rings cannot have as many."""
        return slots_needed(self._config, resident.rows, self._graphs.manifest.capacity)

    def value(self, resident: Resident) -> SegmentState:
        """The state as a value: of what sits, a copy, which takes as long whatever the text was."""
        if resident.value is not None:
            return resident.value
        slots = _slots(resident)
        kept = slots.oldest_first()[-self._config.max_memory :]
        binding = self._graphs.moving("to_memory").io_binding()
        for name in self._memory:
            self._place(name, _seat(resident)).bind_input(binding, name)
        if self._config.attention_layers:
            binding.bind_cpu_input("order", kept)
        names = [_as_memory(name) for name in self._memory]
        for name in names:
            binding.bind_output(f"{name}.next", *self._graphs.device)
        _run(self._graphs.moving("to_memory"), binding)
        values = dict(zip(names, binding.get_outputs(), strict=True))
        rows = len(kept) if self._config.attention_layers else 0
        return SegmentState(1, rows, values, slots.next if self._config.attention_layers else None)

    def rise(self, resident: Resident) -> SegmentState:
        """Let it leave its seat, if it is in one, and return its value, which it then has."""
        resident.value = self.value(resident)
        self.leave(resident)
        return resident.value

    def leave(self, resident: Resident) -> None:
        """Let the seat be another's. What was in it is lost."""
        if resident.seat is not None:
            self._at[resident.seat] = None
        resident.seat = resident.slots = None

    def _fit(self, needed: int) -> None:
        """Make rings of `needed` slots: at once if those there are are smaller, after some steps if they are larger."""
        self._larger = self._larger + 1 if needed < self._capacity else 0
        if needed > self._capacity or self._larger >= PATIENCE:
            for resident in self._at:
                if resident is not None:
                    self.rise(resident)
            self._capacity, self._larger = needed, 0

    def _sit(self, resident: Resident, due: Mapping[Resident, Any]) -> None:
        """Take the first seat that is free, or that of the one that has not been due for longest."""
        if None not in self._at:
            others = [other for other in self._at if other is not None and other not in due]
            self.rise(max(others, key=lambda other: self._idle[_seat(other)]))
        seat = self._at.index(None)
        assert resident.value is not None
        resident.slots = self._put(resident.value, seat)
        resident.seat, resident.value = seat, None
        self._at[seat], self._idle[seat] = resident, 0

    def _put(self, state: SegmentState, seat: int) -> Slots:
        """Write `state` to a seat, all of it, so that nothing is left of who was there; the slots of its rows."""
        slots = Slots.holding(self._config, state.rows, self._capacity, state.slot)
        binding = self._graphs.moving("to_ring").io_binding()
        for name, value in state.values.items():
            binding.bind_ortvalue_input(name, value)
        if self._config.attention_layers:
            rows = np.full(self._capacity + 1, state.rows)
            rows[slots.oldest_first()] = np.arange(state.rows)
            binding.bind_cpu_input("rows", rows)
        for name in self._memory:
            self._place(name, seat).bind_output(binding, f"{name}.next")
        _run(self._graphs.moving("to_ring"), binding)
        return slots

    def _close_up(self, due: Mapping[Resident, Any]) -> None:
        """Move the last one that is due to a seat before it that has been computed for nothing for long, if any."""
        last = max(due, key=_seat)
        for seat, resident in enumerate(self._at[: _seat(last)]):
            if resident not in due and self._idle[seat] >= PATIENCE:
                if resident is not None:
                    self.rise(resident)
                self.rise(last)
                self._sit(last, due)
                return

    def _size(self, n: int) -> int:
        """How many seats a step of the first n is of: with CUDA graphs one of a few, each recorded once."""
        return min(len(self._at), 1 << (n - 1).bit_length()) if self._graphs.cuda_graph else n

    def _run(self, n: int, given: Mapping[str, NDArray[Any]], due: Mapping[Resident, Any]) -> NDArray[np.float32]:
        sizes = n, self._capacity
        if sizes not in self._steps:
            if len(self._steps) >= KEPT and not self._graphs.cuda_graph:  # recorded ones are few
                del self._steps[next(iter(self._steps))]
            first = {**given, "numbers": np.arange(self._capacity + 1)} if self._config.attention_layers else given
            state = {name: self._place(name, 0, n) for name in self._memory}
            device, vocab = self._graphs.device, self._config.vocab
            buffers = StepBuffers(self._graphs.step(n), first, state, vocab, device)
            if self._graphs.cuda_graph:
                self._record(buffers, due)
            self._steps[sizes] = buffers
        self._steps[sizes] = buffers = self._steps.pop(sizes)  # that which was used last is the last
        return buffers.step(given)

    def _record(self, buffers: StepBuffers, due: Mapping[Resident, Any]) -> None:
        before = {resident: self.value(resident) for resident in due}

        def read() -> list[NDArray[Any]]:
            values = itertools.chain.from_iterable(self.value(resident).values.values() for resident in due)
            return [np.array(value.numpy()) for value in values]

        def restore() -> None:
            for resident, state in before.items():
                self._put(state, _seat(resident))

        buffers.record(len(self._steps) + 1, read, restore)

    def _place(self, name: str, seat: int, seats: int = 1) -> Place:
        """Where the state `name` of so many seats from `seat` on is."""
        A, H = self._config.heads, self._config.emb
        shape = (seats, H)
        if name.endswith("ring"):
            shape = (seats * A, self._capacity + 1, H // A)  # type: ignore[assignment]
        each = H * (self._capacity + 1 if name.endswith("ring") else 1)
        return Place(self._memory[name], self._graphs.device, self._dtype, shape, seat * each)


def _rows(resident: Resident) -> int:
    return resident.rows


def _seat(resident: Resident) -> int:
    assert resident.seat is not None
    return resident.seat


def _slots(resident: Resident) -> Slots:
    assert resident.slots is not None
    return resident.slots


def _as_memory(name: str) -> str:
    return name.replace(".ring", ".memory")


def _run(session: Any, binding: IOBinding) -> None:
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
