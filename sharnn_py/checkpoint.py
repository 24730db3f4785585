"""A checkpoint is a folder: `config.json`, `model.safetensors`, and `vocabulary.json` when there is one."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from sharnn_py.baseline import Baseline, BaselineConfig
from sharnn_py.config import Config
from sharnn_py.errors import CheckpointError
from sharnn_py.files import write_bytes, write_text
from sharnn_py.model import SHARNN
from sharnn_py.vocabulary import Vocabulary
from sharnn_py.weights.shapes import parameter_shapes
from sharnn_py.weights.table import check_names_and_shapes

CONFIGS: dict[str, type[Config] | type[BaselineConfig]] = {"sharnn": Config, "baseline": BaselineConfig}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder holds: a model, and the vocabulary of its ids."""

    model: SHARNN | Baseline
    """The model, on the CPU, in evaluation mode."""
    vocabulary: Vocabulary | None
    """The vocabulary; None if the model was saved without one."""


def save_checkpoint(model: SHARNN | Baseline, folder: str | Path, vocabulary: Vocabulary | None = None) -> None:
    """Write a model, and the vocabulary of its ids, to `folder`, which is created if need be.

    Every file is replaced as a whole; the weights keep their dtype. Raises `CheckpointError` if the vocabulary's size
    is not the model's, `OSError` if a file cannot be written.
    """
    if vocabulary is not None and len(vocabulary) != model.config.vocab:
        raise CheckpointError(f"the vocabulary has {len(vocabulary)} tokens, the model {model.config.vocab}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kind = "sharnn" if isinstance(model, SHARNN) else "baseline"
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(weights))
    if vocabulary is not None:
        vocabulary.save(folder / "vocabulary.json")
    else:
        (folder / "vocabulary.json").unlink(missing_ok=True)  # an earlier model's, whose ids mean something else
    write_text(folder / "config.json", json.dumps({"model": kind, **model.config.to_json()}, indent=2) + "\n")


def load_checkpoint(folder: str | Path) -> Checkpoint:
    """The model and vocabulary that `save_checkpoint` wrote, on the CPU, in the weights' dtype, in evaluation mode.

    Raises `CheckpointError` for a missing or damaged file, `ConfigError` for a config no model can have,
    `WeightsError` naming every missing, surplus or wrongly shaped tensor.
    """
    folder = Path(folder)
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = load((folder / "model.safetensors").read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a checkpoint that can be read: {error}") from error
    kind = values.pop("model", None) if isinstance(values, dict) else None
    if kind not in CONFIGS:
        raise CheckpointError(f"{folder}/config.json: model is {kind!r}; it must be one of {', '.join(CONFIGS)}")
    config = CONFIGS[kind].from_json(values)
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    check_names_and_shapes(given, parameter_shapes(config), f"{folder}/model.safetensors")
    model: SHARNN | Baseline = SHARNN(config) if isinstance(config, Config) else Baseline(config)
    model = model.to(next(iter(weights.values())).dtype)
    model.load_state_dict(weights)
    listed = folder / "vocabulary.json"
    vocabulary = Vocabulary.load(listed) if listed.exists() else None
    if vocabulary is not None and len(vocabulary) != config.vocab:
        raise CheckpointError(f"{listed} has {len(vocabulary)} tokens, the model {config.vocab}")
    return Checkpoint(model.eval(), vocabulary)
