"""What the header of a recording of one of the programs says: which program, which model, which segments."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from parity.errors import HOW_TO_CHECK, RecordingError
from parity.recording.recording import Recording
from sharnn_py.baseline import BaselineConfig
from sharnn_py.config import Config, Program, Semantics

SIZES = {
    "emb": "emb",
    "hidden": "hidden",
    "vocab": "vocab",
    "nlayers": "layers",
    "heads": "heads",
    "npos": "max_memory",
    "tie": "tied",
}
"""The header's name of every size of a model, and `Config`'s."""
DATA_PROVENANCE = {"implementation": "alisafaya/SHA-RNN.jl@ebd62af", "source": "src/data.jl, src/lamb.jl"}
"""The provenance of a recording of the data code, which has no header."""


def made_by(recording: Recording) -> Mapping[str, str]:
    """How a recording was made: its header, or `DATA_PROVENANCE` for the data code."""
    return DATA_PROVENANCE if recording.is_data else recording.metadata


def program_of(recording: Recording) -> Program:
    """Whose semantics were recorded. Raises `RecordingError` for a recording of neither program."""
    header = made_by(recording)
    if header.get("semantics") in ("julia", "paper"):
        return cast(Program, header["semantics"])
    words = header.get("implementation", "") + header.get("source", "")
    if "SHA-RNN.jl" in words:
        return "julia"
    if "Smerity/sha-rnn" in words:
        return "paper"
    raise RecordingError(
        f"{recording.label}: its header names neither SHA-RNN.jl (as 'implementation') nor Smerity/sha-rnn "
        f"(as 'source') nor the 'semantics', so it is not a recording of either program; {HOW_TO_CHECK}"
    )


def is_of_sharnn(recording: Recording) -> bool:
    """Whether its header says which program made it, and of which sizes."""
    try:
        return bool(program_of(recording)) and (recording.is_data or bool(recording.config))
    except RecordingError:
        return False


def is_baseline(recording: Recording) -> bool:
    """Whether SHA-RNN.jl's LSTM language model was recorded rather than SHA-RNN."""
    return not recording.is_data and "param/projection.w" in recording.tensors


def model_config(recording: Recording, semantics: Semantics) -> Config:
    """The configuration of the recorded SHA-RNN, under the semantics asked for."""
    attention_layers: Any = None
    if "attn_layer" in recording.config:  # Smerity's recordings: the 0-based block or blocks, -1 for none
        chosen = recording.config["attn_layer"]
        attention_layers = tuple(chosen) if isinstance(chosen, list) else () if chosen == -1 else (chosen,)
    return Config(**_sizes(recording, SIZES), attention_layers=attention_layers, semantics=semantics)


def baseline_config(recording: Recording) -> BaselineConfig:
    """The configuration of the recorded baseline."""
    return BaselineConfig(**_sizes(recording, ("emb", "hidden", "vocab", "nlayers")))


def _sizes(recording: Recording, keys: Iterable[str]) -> dict[str, Any]:
    return {SIZES[key]: recording.setting(key) for key in keys}


def header_sizes(config: Config) -> dict[str, Any]:
    """The sizes of a model under the header's names."""
    return {key: getattr(config, field) for key, field in SIZES.items()}


def segment_count(recording: Recording) -> int:
    """How many segments `eval` holds. Raises `RecordingError` unless that is as many as the header says."""
    found, lengths = recording.count("eval"), recording.setting("segs")
    if not isinstance(lengths, list) or (found and found != len(lengths)):
        raise RecordingError(f"{recording.label}: eval/ has {found} segments, but the header's segs are {lengths}")
    return found
