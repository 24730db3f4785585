"""Random interleavings of everything that can be done with live sequences, on back ends that they switch between."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from parity.laws.backend import Backend
from parity.laws.laws import same_layers
from parity.laws.oracle import Oracle, check
from parity.laws.strategies import Spec, tokens

MOST_LIVE = 3
"""Sessions alive at once."""


def sequences_machine(makers: Mapping[str, Callable[[Spec], Backend]], models: Any) -> type[RuleBasedStateMachine]:
    """A state machine over back ends by name, for models that the strategy `models` draws.

    Each live session is of one back end and one to three sequences, and has an `Oracle` beside it; after every
    operation each must hold the state that its oracle does. Run it as Hypothesis runs machines:
    `run_state_machine_as_test`, or its `TestCase`.
    """

    class Sequences(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.live: list[tuple[Backend, Oracle]] = []
            self.folder = Path(tempfile.mkdtemp(prefix="sharnn-laws-"))

        @initialize(data=st.data())
        def choose_a_model(self, data: st.DataObject) -> None:
            self.spec: Spec = data.draw(models)
            self.begin(data)

        @precondition(lambda self: len(self.live) < MOST_LIVE)
        @rule(data=st.data())
        def begin(self, data: st.DataObject) -> None:
            backend = makers[data.draw(st.sampled_from(sorted(makers)))](self.spec).fork()
            batch = data.draw(st.integers(1, 3))
            backend.start(batch)
            self.live.append((backend, Oracle(self.spec, batch)))

        @rule(data=st.data())
        def feed(self, data: st.DataObject) -> None:
            backend, oracle = self.live[self.which(data)]
            segment = data.draw(tokens(data.draw(st.integers(1, 5)), len(oracle.sequences)))
            expected = oracle.feed(segment, backend.steps_only)
            check("logits", backend.feed(segment), expected, backend.dtype)

        @precondition(lambda self: len(self.live) < MOST_LIVE)
        @rule(data=st.data())
        def fork(self, data: st.DataObject) -> None:
            backend, oracle = self.live[self.which(data)]
            self.live.append((backend.fork(), oracle.fork()))

        @rule(data=st.data())
        def reset(self, data: st.DataObject) -> None:
            which, batch = self.which(data), data.draw(st.integers(1, 3))
            self.live[which][0].start(batch)
            self.live[which] = self.live[which][0], Oracle(self.spec, batch)

        @rule(data=st.data())
        def reorder(self, data: st.DataObject) -> None:
            which = self.which(data)
            backend, oracle = self.live[which]
            rows = data.draw(st.lists(st.integers(0, len(oracle.sequences) - 1), min_size=1, max_size=3))
            backend.reorder(rows)
            self.live[which] = backend, oracle.reordered(rows)

        @rule(data=st.data())
        def save_and_load(self, data: st.DataObject) -> None:
            backend, _ = self.live[self.which(data)]
            backend.save(self.folder / "state")
            backend.start(1)
            backend.load(self.folder / "state")

        @rule(data=st.data())
        def switch_back_end(self, data: st.DataObject) -> None:
            which = self.which(data)
            backend, oracle = self.live[which]
            other = makers[data.draw(st.sampled_from(sorted(makers)))](self.spec).fork()
            backend.save(self.folder / "state")
            other.load(self.folder / "state")
            cast = [(h.astype(other.dtype), c.astype(other.dtype), m.astype(other.dtype)) for h, c, m in backend.read()]
            same_layers("on the other back end", other.read(), cast, other.parts)
            # What was float32 stays as far from the oracle as float32 is, whatever continues from it.
            self.live[which] = other, Oracle(self.spec, len(oracle.sequences), other.read())

        @rule(data=st.data())
        def leave(self, data: st.DataObject) -> None:
            if len(self.live) > 1:
                self.live.pop(self.which(data))

        @invariant()
        def every_state_is_as_it_should_be(self) -> None:
            for backend, oracle in self.live:
                oracle.check_state(backend.read(), backend.dtype)

        def which(self, data: st.DataObject) -> int:
            return data.draw(st.integers(0, len(self.live) - 1))

        def teardown(self) -> None:
            shutil.rmtree(self.folder, ignore_errors=True)

    return Sequences
