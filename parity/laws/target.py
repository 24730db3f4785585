"""What a law is tried on: how to make a back end, which models to draw, and the oracle that says what is right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parity.laws.alone import Alone
from parity.laws.backend import Backend, Layers
from parity.laws.oracle import Oracle
from parity.laws.strategies import Spec, specs, states
from sharnn_py.config import Program

Draw = Callable[[Any], Any]
"""Draws a value from a Hypothesis strategy, as `data.draw` of `st.data()` does."""


@dataclass(frozen=True)
class LawTarget:
    """A model of any kind under test.

    It is tested by the laws that need no oracle of their own (`ANY_MODEL`): what a batch computes, however it is cut,
    forked, reordered and saved, is compared with each of its sequences fed alone to a back end of its own.
    """

    make: Callable[[Any], Backend]
    """Makes a back end for a model that `models` draws. It may return the same one again: a law begins with `start`."""
    models: Any
    """A Hypothesis strategy of models, in whatever form `make` takes them. Ids are drawn below 7, so a vocabulary of 7
    or more."""
    rounding: float = 64.0
    """How far a batch may be from its sequences alone: in units in the last place of an array's largest value."""
    splits: bool = True
    """Whether x then y should give what x+y gives at once."""

    def spec(self, draw: Draw) -> Any:
        """Draw the model that a law is tried on."""
        return draw(self.models)

    def begin(self, spec: Any, batch: int = 1, layers: Layers | None = None) -> Backend:
        """A back end with `batch` new sequences, or with these."""
        backend = self.make(spec)
        backend.start(batch)
        if layers is not None:
            backend.write(layers)
        return backend

    def oracle(self, spec: Any, batch: int = 1, layers: Layers | None = None) -> Any:
        """What such a back end should give, with the methods of `Oracle`."""
        return Alone(lambda: self.make(spec).fork(), batch, layers, self.rounding)

    def state(self, draw: Draw, spec: Any, batch: int) -> Layers | None:
        """A state to begin from; None, here: nothing was fed yet."""
        return None

    def without_cuts(self, spec: Any, steps: int) -> Any:
        """The same model with a memory from which none of `steps` steps is dropped."""
        return spec


@dataclass(frozen=True)
class SHARNNTarget(LawTarget):
    """A back end for SHA-RNN, tested by all laws: against the plain NumPy model, and what float32 may do to it."""

    models: Any = None
    semantics: Program = "paper"
    any_attention: bool = True
    """Whether it runs attention in any blocks, or only where both programs have it."""
    any_semantics: bool = True
    """Whether it runs mixtures of both semantics."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "splits", self.any_semantics or self.semantics == "paper")

    def spec(self, draw: Draw) -> Spec:
        spec: Spec = draw(specs(self.semantics, any_attention=self.any_attention))
        return spec

    def oracle(self, spec: Spec, batch: int = 1, layers: Layers | None = None) -> Oracle:
        return Oracle(spec, batch, layers)

    def state(self, draw: Draw, spec: Spec, batch: int) -> Layers:
        layers: Layers = draw(states(spec.config, batch))
        return layers

    def without_cuts(self, spec: Spec, steps: int) -> Spec:
        semantics = spec.config.semantics
        if semantics.attention_scale == "julia":  # a scale of T differs with every cut
            spec = spec.changed(semantics=semantics.flipped("attention_scale"))
        # Under julia's rule block 1 counts one row even where it has none, so one more row than steps is never cut.
        return spec.changed(max_memory=steps + 1)
