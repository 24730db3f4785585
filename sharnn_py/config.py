"""What distinguishes one SHA-RNN from another: sizes, dropouts, and whose semantics it computes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sharnn_py.errors import ConfigError

Program = Literal["julia", "paper"]
"""`julia` is alisafaya/SHA-RNN.jl at ebd62af, `paper` is Smerity/sha-rnn at 218d748."""


@dataclass(frozen=True)
class Semantics:
    """Where the two public programs differ, one switch for each difference, each naming the program followed.

    docs/semantics.md describes every row; `JULIA` and `PAPER` are the two programs as they are.
    """

    layer_norm: Program
    """Row 1. julia: (x - mean) / (std + eps), std over n-1. paper: (x - mean) / sqrt(var + eps), var over n."""
    boom: Program
    """Row 2. julia: output k is the sum of all of chunk k, the rest 0. paper: elementwise sum of the chunks."""
    attention_scale: Program
    """Row 3. julia: 1 / sqrt(T), T queries in this segment. paper: 1 / sqrt(emb / heads)."""
    memory_cut: Program
    """Row 4. Which memory rows are dropped before attending: see `sharnn_py.memory`."""
    tied_bias: Program
    """Row 5. Whether a tied decoder has a bias. julia: no. paper: yes."""
    attention_dropout: Program
    """Row 6. Dropout on queries, values and attention weights while training. julia: none. paper: yes."""
    initialisation: Program
    """Row 7. How a fresh model is drawn: see `sharnn_py.initialisation`."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value not in ("julia", "paper"):
                raise ConfigError(f"semantics.{field.name} is {value!r}; it must be 'julia' or 'paper'")

    def flipped(self, *switches: str) -> Semantics:
        """These semantics with the named switches set to the other program. Raises `ConfigError` for another name."""
        names = [field.name for field in dataclasses.fields(self)]
        for switch in switches:
            if switch not in names:
                raise ConfigError(f"there is no semantics switch {switch!r}; the switches are {', '.join(names)}")
        other: dict[Program, Program] = {"julia": "paper", "paper": "julia"}
        return dataclasses.replace(self, **{switch: other[getattr(self, switch)] for switch in switches})


def _preset(program: Program) -> Semantics:
    return Semantics(program, program, program, program, program, program, program)


JULIA = _preset("julia")
"""The `Semantics` of SHA-RNN.jl."""
PAPER = _preset("paper")
"""The `Semantics` of Smerity's program, the paper's."""
PRESETS: dict[str, Semantics] = {"julia": JULIA, "paper": PAPER}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes, dropout rates and semantics of one SHA-RNN.

    Raises `ConfigError` for sizes neither program could run; under `julia` that includes the sizes at which
    SHA-RNN.jl stops with a BoundsError while building its Boom layer.
    """

    vocab: int
    """V, number of token ids."""
    emb: int
    """H, width of embeddings, hidden states and memory."""
    hidden: int
    """F, inner width of the Boom layer."""
    layers: int
    """L, number of blocks."""
    heads: int = 1
    """A, attention heads; head a owns features a*H/A ... (a+1)*H/A - 1."""
    max_memory: int = 5000
    """N, most memory rows kept from one segment to the next."""
    tied: bool = True
    """Whether the decoder's weight is the embedding."""
    attention_layers: tuple[int, ...] | None = None
    """0-based blocks that attend. None stands for the second to last, as in both programs (no block if L = 1)."""
    dropout_embedding: float = 0.0
    """Dropout rate on the embeddings (`dropouti` in both programs)."""
    dropout_hidden: float = 0.0
    """Dropout rate inside every block (`dropouth`)."""
    dropout_output: float = 0.0
    """Dropout rate on the last block's output (`dropout`)."""
    collapsed_values: bool = False
    """Whether `attn.vs` is the value gain itself, as after Smerity's `vq_collapse`."""
    semantics: Semantics = JULIA
    """Whose semantics the model computes, row by row."""

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "emb", "hidden", "layers", "heads", "max_memory")
        require_fractions(self, "dropout_embedding", "dropout_hidden", "dropout_output")
        if self.attention_layers is None:
            object.__setattr__(self, "attention_layers", (self.layers - 2,) if self.layers > 1 else ())
        attending = tuple(sorted(set(self.attention_layers or ())))
        object.__setattr__(self, "attention_layers", attending)
        if any(not isinstance(i, int) or not 0 <= i < self.layers for i in attending):
            raise ConfigError(
                f"attention_layers is {attending}; with {self.layers} layers its entries must be 0 to {self.layers - 1}"
            )
        if self.emb % self.heads:
            raise ConfigError(f"heads is {self.heads}; it must divide emb, which is {self.emb}")
        self._check_boom()

    def _check_boom(self) -> None:
        if self.hidden < self.emb:
            raise ConfigError(
                f"hidden is {self.hidden} and emb {self.emb}; hidden must be at least emb, as the Boom layer "
                "folds hidden features back into chunks of emb"
            )
        if self.semantics.boom == "paper":
            return
        if self.hidden % self.emb:
            raise ConfigError(
                f"hidden is {self.hidden} and emb {self.emb}; under julia's Boom hidden must be a multiple of emb"
            )
        if self.hidden // self.emb > self.emb:
            raise ConfigError(
                f"hidden / emb is {self.hidden // self.emb}, more than emb ({self.emb}); julia's Boom has an output "
                "for each chunk and only emb outputs"
            )
        if self.emb == 1:
            raise ConfigError("emb is 1; under julia's semantics it must be at least 2")

    def attends(self, layer: int) -> bool:
        """Whether the 0-based block `layer` has attention."""
        return layer in (self.attention_layers or ())

    @property
    def decoder_bias(self) -> bool:
        """Whether the decoder adds a bias: always when untied, by row 5 when tied."""
        return not self.tied or self.semantics.tied_bias == "paper"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` reads it back."""
        values = dataclasses.asdict(self)
        values["attention_layers"] = list(self.attention_layers or ())
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Config:
        """The config written by `to_json`. Raises `ConfigError` naming a missing or unknown entry."""
        values = dict(values)
        semantics = values.get("semantics")
        if isinstance(semantics, dict):
            values["semantics"] = build(Semantics, semantics, "semantics")
        if isinstance(values.get("attention_layers"), list):
            values["attention_layers"] = tuple(values["attention_layers"])
        return build(cls, values, "config")


T = TypeVar("T")


def build(cls: type[T], values: dict[str, Any], what: str) -> T:
    """`cls(**values)` for a dataclass. Raises `ConfigError` that names missing and unknown entries."""
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields))
    required = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    missing = [name for name in required if name not in values]
    if unknown or missing:
        raise ConfigError(f"{what}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}")
    return cls(**values)


def require_positive(config: Any, *names: str) -> None:
    """Raise `ConfigError` unless each named field is a whole number of at least 1."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least 1")


def require_fractions(config: Any, *names: str) -> None:
    """Raise `ConfigError` unless each named field is a probability below 1."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ConfigError(f"{name} is {value!r}; it must be at least 0 and below 1")
