"""Serving an export folder: sequences with carried state on onnxruntime. No torch is loaded here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from export.serving.mask import segment_mask
from export.serving.onnx_sessions import Graphs, Precision
from export.serving.providers import Provider
from export.serving.ring import Slots, bucket
from export.serving.segment_state import Carried, Layers, check_layers, zeros
from export.serving.step_state import Stepping
from sharnn_py.files import write_bytes
from sharnn_py.freed import return_freed_memory
from sharnn_py.memory import most_keys_of_a_step
from sharnn_py.session import Session as BaseSession
from sharnn_py.session import at_least
from sharnn_py.state_file import METADATA, name_tensors, read_layers
from sharnn_py.vocabulary import Vocabulary


class Session(BaseSession):
    """Sequences with carried state on an export folder.

    A segment and a step need their memory in different forms. Each keeps it on the device; going from one to the
    other, which generation does once, after the prompt, takes it over the host.
    """

    def __init__(self, graphs: Graphs, vocabulary: Vocabulary | None, batch: int = 1) -> None:
        """Use `load`."""
        super().__init__(graphs.config, vocabulary)
        self._graphs = graphs
        self._state: Carried | Stepping
        self.reset(batch)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        provider: Provider = "cpu",
        precision: Precision = "exported",
        *,
        threads: int | None = None,
        cuda_graph: bool = False,
    ) -> Session:
        """A session of one sequence, nothing fed yet, on what `sharnn export` wrote.

        The provider asked for is the one used. `precision` "int8" takes int8 steps (the cpu provider; the export
        must hold them); segments stay in the export's own. `threads` is onnxruntime's, by default its choice.
        `cuda_graph` replays steps as a CUDA graph, once that was seen to give the same numbers.

        Raises `ExportError` for a folder that is not an export or was changed since, `ProviderError` naming what a
        provider lacks.
        """
        folder = Path(folder)
        graphs = Graphs(folder, provider, precision, threads, cuda_graph)
        graphs.segment()  # a provider that cannot be had is an error here, not at the first token
        listed = folder / "vocabulary.json"
        return cls(graphs, Vocabulary.load(listed) if listed.name in graphs.manifest.files else None)

    @property
    def batch(self) -> int:
        """Number of sequences, B."""
        return self._state.batch

    @property
    def provider(self) -> Provider:
        return self._graphs.provider

    def prefill(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Feed one segment, (T, B) ids; logits (T, B, V)."""
        tokens = self.check_tokens(tokens, 2)
        state, session = self._carried(), self._graphs.segment()
        steps, batch = tokens.shape
        feeds: dict[str, NDArray[Any]] = {"tokens": np.ascontiguousarray(tokens)}
        if self.config.attention_layers:
            feeds["mask"] = segment_mask(self.config, state.rows, steps)
            if self.config.semantics.attention_scale == "julia":
                feeds["attention_scale"] = np.array(1 / np.sqrt(steps), np.float32)
        binding = session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, array)
        for name, value in state.values.items():
            binding.bind_ortvalue_input(name, value)
        following = [f"{name}.next" for name in state.values]
        binding.bind_output("logits", "cpu")
        for name in following:
            binding.bind_output(name, self._graphs.device)
        session.run_with_iobinding(binding)
        logits, *values = binding.get_outputs()
        rows = min(self.config.max_memory, state.rows + steps) if self.config.attention_layers else 0
        self._state = Carried(batch, rows, dict(zip(state.values, values, strict=True)))
        return np.array(logits.numpy())

    def step(self, tokens: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Feed one id to each sequence, (B,); logits (B, V).

        Raises `ExportError`, with nothing fed, if the export's ring is smaller than the memory this needs.
        """
        tokens = self.check_tokens(tokens, 1)
        return self._stepping().step(tokens)

    def reset(self, batch: int = 1) -> None:
        self._place(zeros(self.config, at_least(1, "batch", batch)))

    def fork(self) -> Session:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        if isinstance(self._state, Stepping):
            other._state = self._ring(self._state.layers())
        return other

    def save_state(self, path: str | Path) -> None:
        layers = [
            (h.astype(np.float32), c.astype(np.float32), memory.astype(np.float32)) for h, c, memory in self.state()
        ]
        write_bytes(path, save(name_tensors(layers), metadata=METADATA))

    def load_state(self, path: str | Path) -> None:
        self.set_state(read_layers(path, "np"))

    def state(self) -> Layers:
        """h (B, H), c (B, H) and memory (M, B, H) of every block, copied to the host, in the export's precision."""
        return self._state.layers() if isinstance(self._state, Stepping) else self._state.layers(self.config)

    def set_state(self, layers: Layers) -> None:
        """Carry on from this state, of any floating point. Raises `InputError` if it is not one of this model."""
        check_layers(layers, self.config)
        self._place(layers)

    def _place(self, layers: Layers) -> None:
        self._state = Carried.place(layers, self.config, self._graphs.manifest.precision, self._graphs.device)

    def _carried(self) -> Carried:
        """The state as segments take it."""
        if isinstance(self._state, Stepping):
            self._place(self._state.layers())
        assert isinstance(self._state, Carried)
        return self._state

    def _stepping(self) -> Stepping:
        """The state as steps take it, with a slot to write."""
        if isinstance(self._state, Stepping) and not self._must_grow(self._state.slots):
            return self._state
        stepping = self._ring(self.state())
        self._state = stepping
        return_freed_memory()  # of a segment graph, which the state before kept alive
        return stepping

    def _must_grow(self, slots: Slots) -> bool:
        most_keys = most_keys_of_a_step(self.config)
        return slots.held == slots.capacity < most_keys

    def _ring(self, layers: Layers) -> Stepping:
        most_keys, rows = most_keys_of_a_step(self.config), max(layer[2].shape[0] for layer in layers)
        # At its full size a ring needs no free slot: the next row goes over the one that the model forgets.
        needed = min(rows + 1, most_keys)
        capacity = bucket(needed, most_keys, self._graphs.manifest.capacity) if most_keys else 0
        slots = Slots.after(rows, capacity) if capacity else Slots(0, 0, 0)
        graphs = self._graphs
        return Stepping(graphs.step(layers[0][0].shape[0]), self.config, layers, slots, graphs.device, graphs.number())
