"""SHA-RNN as Julia computes it, one interface over two sources: SHA-RNN.jl itself and the bridge's reference statement.

Shapes: T steps, B batch, H = emb, F = hidden, V = vocab, M memory rows. Arrays have Julia's axes reversed, so they are
torch's: a Julia (H, B, T) is a (T, B, H) here, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from julia_bridge.sharnn.upstream import COMMIT, model_source
from sharnn_py.config import JULIA, Config
from sharnn_py.errors import ConfigError, InputError, WeightsError
from sharnn_py.state_shapes import check_shapes

if TYPE_CHECKING:
    from julia_bridge.worker import Worker

Array = NDArray[Any]
Source = Literal["upstream", "reference"]

SIZES = ("emb", "hidden", "vocab", "layers", "heads", "max_memory", "tied")
"""What Julia is told of a `Config`, by the names of its fields."""
KNET_PROJECT = "SHARNN_KNET_PROJECT"
"""Environment variable: a Julia project with the real Knet, for `upstream` to run on."""


@dataclass(frozen=True)
class LayerArrays:
    """One block's state. A block without attention has a memory of no rows."""

    h: Array  # (B, H) last hidden state of the LSTM
    c: Array  # (B, H) last cell state of the LSTM
    memory: Array  # (M, B, H) layer-normed hidden states of past steps, oldest first


@dataclass(frozen=True)
class JuliaState:
    """The state of every block, as `sharnn_py.state.State` has it but in numpy."""

    layers: tuple[LayerArrays, ...]


@dataclass(frozen=True)
class JuliaOutput:
    """What Julia computed on one segment."""

    intermediates: dict[str, Array]
    """All that recordings hold of a segment, under the same names, in the same shapes and in order of computation."""
    state: JuliaState
    """What the next segment starts from."""
    loss: float
    """Mean negative log likelihood, nats a token. NaN if every target is left out."""
    logits: Array
    """(T, B, V)"""
    gradients: dict[str, Array] = field(default_factory=dict)
    """The loss's gradient by every parameter, under its name, in its shape; empty unless `run` was asked for them."""
    activation_gradients: dict[str, Array] = field(default_factory=dict)
    """The loss's gradient by every intermediate through which parameters reach it, under its name, in its shape."""


class JuliaModel:
    """A SHA-RNN in Julia, run without dropout; the reference also gives gradients.

    `source` is "upstream", SHA-RNN.jl's unmodified `src/model.jl` from `upstream_path` or wherever
    `julia_bridge.sharnn.upstream.model_source` finds it, or "reference", the bridge's own statement of the same
    semantics.
    `parameters` are under SHA-RNN.jl's names (`parameter_shapes`), float32, or for the reference float64.
    `worker` is the Julia to use; without one the model starts its own, which `close` (or leaving a `with`) ends.

    Raises `ConfigError` for a config that SHA-RNN.jl has no model for, `WeightsError` for parameters that do not fit
    it, `UpstreamError` if SHA-RNN.jl's source cannot be had, and what `Worker` raises if there is no Julia.
    """

    def __init__(
        self,
        source: Source,
        config: Config,
        parameters: Mapping[str, Array],
        worker: Worker | None = None,
        upstream_path: str | Path | None = None,
    ) -> None:
        if source not in get_args(Source):
            raise ConfigError(f"source is {source!r}; it must be one of {', '.join(get_args(Source))}")
        check_config(config)
        self.source = source
        self.config = config
        self.dtype = check_parameters(parameters, config, source)
        self._parameters = dict(parameters)
        self._sizes = {name: getattr(config, name) for name in SIZES}
        self._knet = _knet_project() if source == "upstream" else ""
        self._program = [str(model_source(upstream_path)), self._knet] if source == "upstream" else []
        self._owned = worker is None
        if worker is None:
            from julia_bridge.worker import Worker

            worker = Worker()
        self._worker = worker
        worker.include(Path(__file__).parents[1] / "julia" / "load.jl")

    def __enter__(self) -> JuliaModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End Julia, if this model started it."""
        if self._owned:
            self._worker.close()

    @property
    def label(self) -> str:
        """What runs, in words, for a reader of its results."""
        if self.source == "reference":
            return "reference statement of the julia semantics, not SHA-RNN.jl"
        return f"SHA-RNN.jl@{COMMIT[:7]} on " + (f"the Knet of {self._knet}" if self._knet else "the bridge's Knet")

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """The parameters' names by the fields of the Julia structs that hold them."""
        return tuple(self._worker.call(f"Bridge.{self.source}_names", *self._program, self._sizes))

    def run(
        self, tokens: Array, targets: Array, state: JuliaState | None = None, *, gradients: bool = False
    ) -> JuliaOutput:
        """Run one segment: `tokens` (T, B) int64 ids from 0, `targets` of the same shape, -1 where there is none.

        `state` is what an earlier segment of the same B sequences returned, or None to begin. With `gradients` those
        of the loss are computed too, with the state as a constant; all else stays the same, bit for bit. Raises
        `ConfigError` if gradients are asked of upstream, `InputError` for input that does not fit, `JuliaError` if
        Julia stops, and what `Worker.call` raises if it is lost.
        """
        if gradients and self.source == "upstream":
            raise ConfigError(
                "gradients were asked of SHA-RNN.jl itself, whose AutoGrad is not part of the bridge, so it runs "
                'forward only; the source "reference" gives gradients'
            )
        check_ids("tokens", tokens, tokens.shape, 0, self.config.vocab)
        check_ids("targets", targets, tokens.shape, -1, self.config.vocab)
        if state is not None:
            self._check_state(state, tokens.shape[1])
        answer = self._worker.call(
            f"Bridge.{self.source}" + ("_gradients" if gradients else ""),
            *self._program,
            self._sizes,
            self._parameters,
            tokens + 1,
            targets + 1,
            {} if state is None else self._for_julia(state),
        )
        found: dict[str, dict[str, Array]] = {"eval": {}, "grad": {}, "agrad": {}}
        for name, array in arrays_of(answer["portion"], self._worker):
            group, _, name = name.partition("/")
            found[group][name] = array
        return JuliaOutput(
            intermediates=found["eval"],
            state=self._from_julia(answer),
            loss=answer["loss"],
            logits=found["eval"]["logits"],
            gradients=found["grad"],
            activation_gradients=found["agrad"],
        )

    def _for_julia(self, state: JuliaState) -> dict[str, Any]:
        hidden = [{"h": layer.h, "c": layer.c} for layer in state.layers]
        memory = {str(i + 1): state.layers[i].memory for i in range(self.config.layers) if self.config.attends(i)}
        # Where no memory has any row, SHA-RNN.jl is given none: it does not take a memory of no rows.
        if any(rows.shape[0] == 0 for rows in memory.values()):
            return {"hidden": hidden}
        return {"hidden": hidden, "memory": memory}

    def _from_julia(self, answer: dict[str, Any]) -> JuliaState:
        def layer(i: int, hc: dict[str, Array]) -> LayerArrays:
            empty = np.zeros((0, *hc["h"].shape), self.dtype)
            return LayerArrays(hc["h"], hc["c"], answer["memory"].get(str(i + 1), empty))

        return JuliaState(tuple(layer(i, hc) for i, hc in enumerate(answer["hidden"])))

    def _check_state(self, state: JuliaState, batch: int) -> None:
        layers = [(layer.h, layer.c, layer.memory) for layer in state.layers]
        check_shapes(layers, self.config, batch)
        if other := {str(array.dtype) for layer in layers for array in layer} - {str(self.dtype)}:
            raise InputError(f"the state has arrays of {', '.join(sorted(other))}, and the model's are {self.dtype}")


def arrays_of(portion: dict[str, Any], worker: Worker) -> Iterator[tuple[str, Array]]:
    """All named arrays of an answer, of which Julia hands out a portion at a time."""
    yield from zip(portion["names"], portion["values"], strict=True)
    while portion["ticket"] is not None:
        portion = worker.call("Bridge.next_portion", portion["ticket"])
        yield from zip(portion["names"], portion["values"], strict=True)


def parameter_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """SHA-RNN.jl's parameters for `config`: their names and, with Julia's axes reversed, shapes."""
    H, F, V = config.emb, config.hidden, config.vocab
    shapes: dict[str, tuple[int, ...]] = {"encoder.w": (V, H)}
    for i in range(config.layers):
        block = {**_norm("lnstart", H), "rnn.w": (8 * H * H + 8 * H, 1, 1)}
        if config.attends(i):
            block |= {**_norm("lnmem", H), **_norm("lnmid", H), **_linear("attn.q", H, H), **_norm("attn.qln", H)}
            block |= {"attn.qs": (1, H), "attn.ks": (1, H), "attn.vs": (1, H), **_linear("attn.vq.linear", H, 2 * H)}
        block |= {**_norm("lnff", H), **_norm("lnxff", H), **_linear("ff.lin1", H, F)}
        shapes.update({f"blocks.{i + 1}.{name}": shape for name, shape in block.items()})
    return shapes if config.tied else {**shapes, **_linear("decoder", H, V)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.gamma": (width,), f"{name}.beta": (width,)}


def _linear(name: str, width: int, out: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.w": (width, out), f"{name}.b": (out,)}


def check_config(config: Config) -> None:
    """Raise `ConfigError` for a config that SHA-RNN.jl has no model for."""
    if config.semantics != JULIA:
        raise ConfigError("the config's semantics are not julia's in every row; Julia runs no other")
    usual = (config.layers - 2,) if config.layers > 1 else ()
    if config.attention_layers != usual:
        raise ConfigError(f"attention_layers is {config.attention_layers}; SHA-RNN.jl has attention in {usual} alone")
    if config.collapsed_values:
        raise ConfigError("collapsed_values is true; SHA-RNN.jl has no such model, give the one before the collapse")


def check_parameters(parameters: Mapping[str, Array], config: Config, source: Source) -> np.dtype[Any]:
    """The type of all `parameters`. Raises `WeightsError` for parameters that are not those of `config`."""
    shapes = parameter_shapes(config)
    missing, unknown = sorted(shapes.keys() - parameters.keys()), sorted(parameters.keys() - shapes.keys())
    if missing or unknown:
        raise WeightsError(f"SHA-RNN.jl's parameters: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}")
    dtype = parameters["encoder.w"].dtype
    allowed = ["float32"] if source == "upstream" else ["float32", "float64"]
    if dtype.name not in allowed:
        raise WeightsError(f"the parameters are {dtype}; for {source} they must be {' or '.join(allowed)}")
    for name, shape in shapes.items():
        found = parameters[name]
        if found.shape != shape or found.dtype != dtype:
            raise WeightsError(f"parameter {name} is {found.dtype} {found.shape}, expected {dtype} {shape}")
    return dtype


def check_ids(name: str, ids: Array, shape: tuple[int, ...], lowest: int, vocab: int) -> None:
    """Raise `InputError` unless `ids` are int64 of `shape`, (T, B), from `lowest` and below `vocab`."""
    if ids.dtype != np.int64 or ids.ndim != 2 or not ids.size:
        raise InputError(f"{name} are {ids.dtype} {ids.shape}; they must be int64 (T, B), with T and B at least 1")
    if ids.shape != shape:
        raise InputError(f"{name} have shape {ids.shape}, the tokens {shape}")
    if ids.min() < lowest or ids.max() >= vocab:
        raise InputError(f"{name} run from {ids.min()} to {ids.max()}; they must be {lowest} to {vocab - 1}")


def _knet_project() -> str:
    project = os.environ.get(KNET_PROJECT, "")
    if project and not Path(project, "Project.toml").is_file():
        raise ConfigError(f"{KNET_PROJECT} is {project!r}, which holds no Project.toml; give a Julia project with Knet")
    return project and str(Path(project).absolute())
