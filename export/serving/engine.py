"""Many sequences at once on one export: they join, step together, fork, pause and leave at any time."""

from __future__ import annotations

import functools
import itertools
import tempfile
import threading
import weakref
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError, whole_number
from export.serving.feeding import feed
from export.serving.held import Held, nbytes
from export.serving.mask import Segment
from export.serving.onnx_sessions import OnnxSessions, P, R, StepPrecision
from export.serving.providers import Provider
from export.serving.seats import Resident, Seats
from export.serving.segment_state import Layers, SegmentState, check_layers, zeros
from sharnn_py.config import Config
from sharnn_py.continuation import Continuation
from sharnn_py.errors import InputError
from sharnn_py.scratch import new_folder
from sharnn_py.session import Logits, Tokens, at_least, check_ids
from sharnn_py.state_file import read_state, write_state
from sharnn_py.vocabulary import Vocabulary

_PREFIX = "sharnn-evicted-"


@dataclass(eq=False)
class _Sequence:
    """One open sequence, in memory or in a file."""

    number: int
    resident: Resident | None
    """Its state in memory; None while it is in `file`."""
    continuation: Continuation | None = None
    used: int = 0
    """When it was last used, by the engine's clock."""
    changes: int = 0
    """How often it was fed or given another state."""
    file: Path | None = None


def _by_itself(method: Callable[Concatenate[Engine, P], R]) -> Callable[Concatenate[Engine, P], R]:
    """`method`, with no other call at the same time, on the thread that the export's graphs have to run on."""

    @functools.wraps(method)
    def call(self: Engine, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return self._graphs.call(method, self, *args, **kwargs)

    return call  # type: ignore[return-value]  # wraps() makes of the method an object with a named self


class Engine:
    """Sequences of one exported model that come and go, each with a memory of its own length, on onnxruntime.

    A sequence is known by its number. Each is what a `Session` of one sequence is when it is fed the same: whoever
    joins, leaves or steps beside it changes nothing beyond the rounding of larger products. One run feeds a token to
    all that are due (`step`); a segment is fed to one (`feed`, or `feed_in_parts` to let others step in between).

    As many sequences as there are slots are in memory. Of more, those that were not used for longest are in files, in a
    folder of the engine's own that is removed with it, and come back when they are used.

    Threads may share an engine: each call waits for the one before it.
    """

    def __init__(
        self, graphs: OnnxSessions, vocabulary: Vocabulary | None, slots: int, folder: str | Path | None = None
    ) -> None:
        """Begin with no sequences; users call `load`."""
        if graphs.manifest.lock_step:
            raise ExportError(
                f"{graphs.files.original} was exported in the format {graphs.manifest.format!r}, in which sequences "
                "can only move together; export the model again, or load it with Session"
            )
        self.config: Config = graphs.config
        self.vocabulary = vocabulary
        self.slots = slots
        self._graphs, self._seats = graphs, Seats(graphs, slots)
        self.lock = threading.RLock()
        """Held by every call. Whoever holds it makes several calls with nothing in between."""
        self._sequences: dict[int, _Sequence] = {}
        self._numbers, self._clock = itertools.count(1), itertools.count(1)
        try:
            self._folder, remove = new_folder(Path(tempfile.gettempdir() if folder is None else folder), _PREFIX)
        except OSError as error:
            raise ExportError(
                f"a folder for evicted sequences cannot be made ({error.strerror or error}: {error.filename}); give "
                "another one, or set TMPDIR"
            ) from error
        weakref.finalize(self, remove)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        provider: Provider = "cpu",
        precision: StepPrecision = "exported",
        *,
        slots: int = 8,
        threads: int | None = None,
        cuda_graph: bool = False,
        device_id: int = 0,
        provider_options: Mapping[str, object] | None = None,
        evicted: str | Path | None = None,
    ) -> Engine:
        """A new engine on the export in `folder`, with memory for `slots` sequences.

        `evicted` is a folder to keep sequences above that number in, by default that of temporary files. All else is as
        in `Session.load`; with `cuda_graph` a step is recorded for 1, 2, 4, 8, ... sequences and each size of ring.

        Raises `ConfigError` for settings out of range or that do not go together; `ExportError` for a folder that is
        not an export, was changed since, has no int8 step, or was exported by a version whose sequences can only move
        together; `ProviderError` naming what the provider lacks.
        """
        whole_number(1, "slots", slots)
        graphs = OnnxSessions(
            Path(folder), provider, precision, threads, cuda_graph, device_id, provider_options, together=True
        )
        graphs.segment()  # so that a provider which is missing is an error here, not at the first token
        return cls(graphs, graphs.vocabulary(), slots, evicted)

    @property
    def provider(self) -> Provider:
        """Where every node runs: "cpu", "cuda" or "tensorrt"."""
        return self._graphs.provider

    @property
    def identity(self) -> str:
        """The identity of the exported model (`sharnn_py.identity`)."""
        return self._graphs.manifest.model

    @property
    def sequences(self) -> tuple[int, ...]:
        """The numbers of the open sequences, in the order in which they were opened."""
        return tuple(self._sequences)

    @property
    def in_memory(self) -> int:
        """How many of the open sequences are in memory; the others are in files."""
        return sum(sequence.resident is not None for sequence in list(self._sequences.values()))

    @_by_itself
    def held(self) -> Held:
        """How many bytes its arrays take on its device at the moment. Before the first segment and the first step, not
        all graphs are open, and on the CPU pages of seats that were never written take no room yet."""
        residents = [sequence.resident for sequence in self._sequences.values() if sequence.resident is not None]
        values = [value for resident in residents if resident.value for value in resident.value.values.values()]
        return Held(self._graphs.weights_held, self._seats.nbytes, nbytes(values), self._seats.nbytes_of_steps)

    @_by_itself
    def open(self, path: str | Path | None = None, *, unidentified: bool = False) -> int:
        """A new sequence, to which nothing was fed, or which goes on from the saved state at `path`; its number.

        Raises what `load_state` raises.
        """
        if path is None:
            return self._new(self._placed(zeros(self.config, 1)), None)
        return self._new(*self._read(path, unidentified))

    @_by_itself
    def close(self, sequence: int) -> None:
        """Forget a sequence. Raises `InputError` if there is none of that number."""
        closed = self._known(sequence)
        del self._sequences[sequence]
        if closed.resident is not None:
            self._seats.leave(closed.resident)
        _remove(closed.file)

    @_by_itself
    def fork(self, sequence: int) -> int:
        """A new sequence that goes on from the same state, with the same `continuation`; its number.

        It takes as long whatever the text was. Raises `InputError` if there is no sequence of that number.
        """
        forked = self._awake(sequence)
        return self._new(self._value(forked), forked.continuation)

    def feed(self, sequence: int, tokens: Tokens) -> Logits:
        """Feed one segment of ids (T,) to a sequence; float32 logits (T, V) of the next token after each.

        Raises `InputError` for tokens that are not ids of this model, and if there is no sequence of that number.
        """
        with self.lock:
            return np.concatenate(list(self.feed_in_parts(sequence, tokens, max(np.size(tokens), 1))))

    def feed_in_parts(self, sequence: int, tokens: Tokens, part: int | Callable[[], int]) -> Iterator[Logits]:
        """Feed one segment of ids (T,) to a sequence, as `feed` does, in parts of up to `part` steps.

        `part` may be a function that gives the number of steps of the next part, at least 1. Returns an iterator over
        the logits (t, V) of each; between two of them other sequences may be fed. The sequence itself is as it was
        until the last part is computed. A segment whose parts would need more memory rows than the model keeps (T above
        `max_memory`, and some of `julia`'s) is computed at once.

        The call raises what `feed` raises; the iterator raises `InputError` if the sequence is fed, closed or given
        another state before it is through.
        """
        ids = self._ids(tokens, "(T,)")
        steps = part if callable(part) else functools.partial(int, at_least(1, "part", part))
        with self.lock:
            fed, state = self._begun(sequence)
            before = fed.changes
        whole = Segment(self.config, state.rows, len(ids))

        def parts(state: SegmentState) -> Iterator[Logits]:
            at = 0
            while at < len(ids):
                end = min(at + steps(), len(ids)) if whole.divisible else len(ids)
                with self.lock:
                    if self._sequences.get(sequence) is not fed or fed.changes != before:
                        raise InputError(
                            f"sequence {sequence} was closed or changed while it was fed; feed it from one place at a "
                            "time"
                        )
                    logits, state = self._graphs.call(feed, self._graphs, state, ids[at:end, None], whole, at)
                    fed.used = next(self._clock)
                    at = end
                    if at == len(ids):
                        self._take(fed, state, Continuation(logits[-1].copy(), ids[-1:]))
                yield logits[:, 0]

        return parts(state)

    @_by_itself
    def step(self, tokens: Mapping[int, int]) -> dict[int, Logits]:
        """Feed one id to each of these sequences, by their numbers, as segments of one step, all in one run.

        Returns float32 logits (V,) of the next token of each. Raises `InputError` for no sequences, more than there are
        slots, numbers of no sequence, and ids that are not of this model; and `ExportError`, with nothing fed, where an
        export was given a ring (`--capacity`) too small for the memory that a step needs.
        """
        if not tokens or len(tokens) > self.slots:
            raise InputError(
                f"a step is asked for of {len(tokens)} sequences; it is of at least 1 and, with {self.slots} slots, of "
                f"at most {self.slots}"
            )
        for number in tokens:
            self._known(number)
        ids = self._ids(list(tokens.values()), "one for each sequence")
        due = [self._awake(number, tokens) for number in tokens]
        residents = {_in_memory(sequence): token for sequence, token in zip(due, ids.tolist(), strict=True)}
        logits = self._seats.step(residents)
        kept = logits.copy()  # the caller's are the caller's
        for k, sequence in enumerate(due):
            sequence.continuation = Continuation(kept[k : k + 1], ids[k : k + 1])
            sequence.changes += 1
        return dict(zip(tokens, logits, strict=True))

    @_by_itself
    def check_step(self, sequence: int) -> None:
        """Raise what `step` would raise for this sequence, whatever the id."""
        self._seats.needs(_in_memory(self._awake(sequence)))

    def continuation(self, sequence: int) -> Continuation | None:
        """What the last tokens of a sequence left, if any were fed. Raises `InputError` for a number of no sequence."""
        return self._known(sequence).continuation

    def drawn(self, sequence: int, seed: int, drawn: int, unfinished: bytes) -> None:
        """Say how the last token that was fed came about, so that a text goes on from there as if it had never stopped:
        with this seed, of which so many numbers were used, and within a character that begins with these bytes."""
        with self.lock:
            known = self._known(sequence)
            if known.continuation is not None:
                known.continuation = replace(known.continuation, seed=seed, drawn=drawn, unfinished=unfinished)

    @_by_itself
    def save_state(self, sequence: int, path: str | Path) -> None:
        """Write the state of a sequence to a file, as `Session.save_state` does. Raises `InputError` and `OSError`."""
        self._write(self._awake(sequence), path)

    @_by_itself
    def load_state(self, sequence: int, path: str | Path, *, unidentified: bool = False) -> None:
        """Let a sequence go on from a state that any back end has saved, as `Session.load_state` does.

        Raises `CheckpointError` for a file that is not a saved state; `InputError` for a state of another model, of
        several sequences or with NaN or infinity, and for a number of no sequence. The sequence is then as it was.
        """
        known = self._known(sequence)
        self._take(known, *self._read(path, unidentified))

    @_by_itself
    def state(self, sequence: int) -> Layers:
        """Every block's h (1, H), c (1, H) and memory (M, 1, H), copied to the host in the export's precision."""
        return self._value(self._awake(sequence)).layers(self.config)

    @_by_itself
    def set_state(self, sequence: int, layers: Layers) -> None:
        """Let a sequence go on from `layers`, as `state` returns them, in any floating-point type.

        Raises `InputError`, with the sequence as it was, if it is not a state of one sequence of this model.
        """
        known = self._known(sequence)
        self._check(layers, "the state")
        self._take(known, self._placed(layers), None)

    @_by_itself
    def evict(self, sequence: int) -> None:
        """Move a sequence to a file; it comes back when it is used.

        Raises `InputError` for a number of no sequence, and `ExportError`, with the sequence as it was, if the file
        cannot be written.
        """
        known = self._known(sequence)
        if known.resident is not None:
            self._put_away(known)

    def _new(self, state: SegmentState, continuation: Continuation | None) -> int:
        self._make_room(())
        number = next(self._numbers)
        new = _Sequence(number, Resident(state), continuation, next(self._clock))
        self._sequences[number] = new
        return number

    def _known(self, sequence: int) -> _Sequence:
        found = self._sequences.get(sequence)
        if found is None:
            raise InputError(f"there is no sequence {sequence!r}; it was closed, or never opened by this engine")
        return found

    def _awake(self, sequence: int, beside: Container[int] = ()) -> _Sequence:
        """The sequence of that number, in memory, as are those `beside` it that were."""
        found = self._known(sequence)
        found.used = next(self._clock)
        if found.resident is None:
            assert found.file is not None
            saved = read_state(found.file)
            slot = saved.continuation.slot if saved.continuation else None
            self._make_room(beside)
            found.resident = Resident(self._placed(saved.layers, slot))
            _remove(found.file)
            found.file = None
        return found

    def _make_room(self, beside: Container[int]) -> None:
        """Put away what was not used for longest, and is not `beside`, until one more sequence can be in memory."""
        while True:
            here = [sequence for sequence in self._sequences.values() if sequence.resident is not None]
            if len(here) < self.slots:
                return
            others = [sequence for sequence in here if sequence.number not in beside]
            self._put_away(min(others, key=lambda sequence: sequence.used))

    def _put_away(self, sequence: _Sequence) -> None:
        file = self._folder / f"{sequence.number}.safetensors"
        try:
            self._write(sequence, file)
        except OSError as error:
            raise ExportError(
                f"sequence {sequence.number} cannot be moved to {file} ({error.strerror or error}), to make room in "
                f"memory for another than the {self.slots} there are slots for; make room there, close a sequence, or "
                "load with more slots"
            ) from error
        self._seats.leave(_in_memory(sequence))
        sequence.resident, sequence.file = None, file

    def _write(self, sequence: _Sequence, path: str | Path) -> None:
        state, continuation = self._value(sequence), sequence.continuation
        if continuation is not None:
            continuation = replace(continuation, slot=state.slot)
        vocabulary = None if self.vocabulary is None else self.vocabulary.identity
        write_state(path, state.layers(self.config), self.identity, vocabulary, continuation)

    def _read(self, path: str | Path, unidentified: bool) -> tuple[SegmentState, Continuation | None]:
        saved = read_state(path)
        vocabulary = None if self.vocabulary is None else self.vocabulary.identity
        saved.check(path, self.identity, vocabulary, self.config.vocab, unidentified)
        self._check(saved.layers, str(path))
        slot = saved.continuation.slot if saved.continuation else None
        return self._placed(saved.layers, slot), saved.continuation

    def _check(self, layers: Layers, what: str) -> None:
        check_layers(layers, self.config)
        if (batch := layers[0][0].shape[0]) != 1:
            raise InputError(f"{what} has {batch} sequences; an engine's are opened one by one, so give one of them")

    def _placed(self, layers: Layers, slot: int | None = None) -> SegmentState:
        return SegmentState.place(layers, self.config, self._graphs.manifest.precision, self._graphs.device, slot)

    def _value(self, sequence: _Sequence) -> SegmentState:
        return self._seats.value(_in_memory(sequence))

    @_by_itself
    def _begun(self, sequence: int) -> tuple[_Sequence, SegmentState]:
        """A sequence and the state that a segment begins with."""
        begun = self._awake(sequence)
        return begun, self._seats.rise(_in_memory(begun))

    @_by_itself
    def _take(self, sequence: _Sequence, state: SegmentState, continuation: Continuation | None) -> None:
        """Let `sequence` go on from `state`."""
        if sequence.resident is None:
            self._make_room(())
            _remove(sequence.file)
            sequence.file = None
        else:
            self._seats.leave(sequence.resident)
        sequence.resident, sequence.continuation = Resident(state), continuation
        sequence.used = next(self._clock)
        sequence.changes += 1

    def _ids(self, tokens: Any, shape: str) -> NDArray[np.int64]:
        ids = np.asarray(tokens)
        if ids.ndim != 1 or not ids.size:
            raise InputError(f"tokens have shape {ids.shape}; they must be {shape}, at least 1")
        return check_ids(ids, self.config.vocab)


def _in_memory(sequence: _Sequence) -> Resident:
    assert sequence.resident is not None
    return sequence.resident


def _remove(file: Path | None) -> None:
    if file is not None:
        file.unlink(missing_ok=True)
