"""What a training run is asked to do, apart from its text and how long it may take."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch

from sharnn_py.baseline import Baseline, BaselineConfig
from sharnn_py.config import PRESETS, Config, Program, build, require_fractions, require_positive
from sharnn_py.errors import ConfigError
from sharnn_py.model import SHARNN

Attention = Literal["one", "none", "all"]
Optimiser = Literal["lamb", "adamw"]
Shape = Literal["constant", "cosine", "linear"]
Precision = Literal["auto", "float32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The model, its optimiser and its batches. Raises `ConfigError` for what no run can have."""

    model: Literal["sharnn", "baseline"] = "sharnn"
    """`baseline` is the LSTM language model of `sharnn_py.Baseline`, without attention and Boom."""
    semantics: Program = "paper"
    """Whose semantics the model computes, whose random lengths and whose MinTrustLAMB it is trained with."""
    initialisation: Literal["own", "paper", "julia", "torch"] = "own"
    """Which program's initial parameters (row 7 of docs/semantics.md): those of `semantics`, or of either. A `baseline`
    has julia's, or with `torch` those that torch gives its layers."""
    emb: int = 192
    """H, width of embeddings and hidden states."""
    hidden: int = 768
    """F, inner width of the Boom layer; of a `baseline`, the width of its LSTM."""
    layers: int = 3
    """L, number of blocks."""
    heads: int = 1
    """A, attention heads."""
    attention: Attention = "one"
    """Which blocks attend: the second to last, as in both programs, or `none`, or `all`."""
    max_memory: int = 512
    """N, most memory rows carried from one segment to the next."""
    dropout_embedding: float = 0.0
    """Dropout rate on the embeddings."""
    dropout_hidden: float = 0.0
    """Dropout rate inside every block."""
    dropout_output: float = 0.0
    """Dropout rate on the last block's output."""
    batch: int = 16
    """B, sequences trained on side by side, each a contiguous piece of the text."""
    bptt: int = 128
    """T, steps of a segment, through which gradients run; with `random_lengths` only about."""
    random_lengths: bool = True
    """Whether segments have random lengths, by the rule of `semantics` (`sharnn_py.random_lengths`)."""
    accumulate: int = 1
    """Segments whose gradients are summed for one update."""
    optimiser: Optimiser = "lamb"
    """`lamb` is MinTrustLAMB as the program of `semantics` runs it, clipping included; `adamw` is torch's AdamW."""
    rate: float = 4e-3
    """The highest learning rate."""
    warmup: int = 100
    """Updates in which the learning rate rises from 0 to `rate`, in equal steps."""
    schedule: Shape = "cosine"
    """The learning rate after warm-up: `constant`, or falling to 0 at the end of the run, as a cosine or a line."""
    weight_decay: float = 1.2e-6
    """Weight decay of `adamw` and of paper's `lamb`; julia's has a fixed one."""
    clip: float = 0.25
    """Norm to which a larger gradient of all parameters is scaled down, for `adamw` and paper's `lamb`."""
    recompute: bool = False
    """Compute each block once more in the backward pass instead of keeping what it needs: less memory, more time."""
    patience: int = 0
    """End after so many validations without a better one; 0 for never."""
    seed: int = 0
    """Seed of the initial parameters, of dropout and of random lengths."""
    precision: Precision = "auto"
    """Of the products on the way: float32, or bf16, or whichever is measured to be faster at the start."""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            self._check_type(name, kind)
        require_positive(self, "emb", "hidden", "layers", "heads", "max_memory", "batch", "bptt", "accumulate")
        require_fractions(self, "dropout_embedding", "dropout_hidden", "dropout_output")
        for name, least in (("warmup", 0), ("patience", 0), ("seed", 0), ("weight_decay", 0.0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")

    def _check_type(self, name: str, kind: Any) -> None:
        value = getattr(self, name)
        if get_origin(kind) is Literal:
            if value not in get_args(kind):
                raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(get_args(kind))}")
        elif kind is float and type(value) in (int, float):
            object.__setattr__(self, name, float(value))
        elif type(value) is not kind:
            raise ConfigError(f"{name} is {value!r}; it must be {_KINDS[kind]}")

    def with_text(self, name: str, text: str) -> Settings:
        """These settings with the one called `name` set to what `text` says. Raises `ConfigError`."""
        kinds = get_type_hints(type(self))
        if name not in kinds:
            raise ConfigError(f"there is no setting {name!r}; the settings are {', '.join(kinds)}")
        value: Any = text
        try:
            if kinds[name] is bool:
                value = {"true": True, "false": False}[text.lower()]
            elif kinds[name] in (int, float):
                value = kinds[name](text)
        except (KeyError, ValueError) as error:
            raise ConfigError(f"{name} is {text!r}; it must be {_KINDS[kinds[name]]}") from error
        return dataclasses.replace(self, **{name: value})

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """The settings that `to_json` wrote, or a part of them. Raises `ConfigError` naming unknown entries."""
        return build(cls, values, "settings")

    def new_model(self, vocab: int) -> SHARNN | Baseline:
        """A fresh model for `vocab` ids, drawn from `seed`. Raises `ConfigError` for sizes no model can have."""
        generator = torch.Generator().manual_seed(self.seed)
        if self.model == "baseline":
            dropout = self.dropout_output
            config = BaselineConfig(vocab=vocab, emb=self.emb, hidden=self.hidden, layers=self.layers, dropout=dropout)
            model = Baseline(config, generator)
            if self.initialisation == "torch":
                _draw_as_torch(model, self.seed)
            return model
        if self.initialisation == "torch":
            raise ConfigError("initialisation is 'torch'; only a baseline's can be, SHA-RNN has 'paper' and 'julia'")
        attending = {"one": None, "none": (), "all": tuple(range(self.layers))}[self.attention]
        shared = ("emb", "hidden", "layers", "heads", "max_memory")
        rates = ("dropout_embedding", "dropout_hidden", "dropout_output")
        sizes = {name: getattr(self, name) for name in (*shared, *rates)}
        semantics = PRESETS[self.semantics]
        if self.initialisation not in ("own", self.semantics):
            semantics = semantics.flipped("initialisation")
        return SHARNN(Config(vocab=vocab, attention_layers=attending, semantics=semantics, **sizes), generator)


def _draw_as_torch(model: Baseline, seed: int) -> None:
    """Draw all parameters anew, in place, as torch draws those of its layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in (model.embed, model.rnn, model.projection):
            layer.reset_parameters()


_KINDS = {bool: "true or false", int: "a whole number", float: "a number"}
