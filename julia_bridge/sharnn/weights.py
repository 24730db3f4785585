"""Converting checkpoints to files of SHA-RNN.jl's parameters, and back, bit for bit.

Such a file is safetensors: the parameters under SHA-RNN.jl's names with Julia's axes reversed, float32, and in the
header's metadata `format`, `config` (as in a recording) and `vocabulary` (a JSON list, empty if there is none).
"""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from julia_bridge.errors import JuliaError
from julia_bridge.sharnn.model import KNET_PROJECT
from julia_bridge.sharnn.upstream import VARIABLE as CHECKOUT
from sharnn_py.checkpoint import load_checkpoint, save_checkpoint
from sharnn_py.config import JULIA, Config
from sharnn_py.errors import CheckpointError, ConfigError, WeightsError
from sharnn_py.files import write_bytes
from sharnn_py.model import SHARNN
from sharnn_py.vocabulary import Vocabulary
from sharnn_py.weights import from_julia, to_julia

FORMAT = "SHA-RNN.jl parameters 1"
SCRIPT = Path(__file__).parents[1] / "julia" / "save_parameters.jl"
JULIA_KEYS = {
    "emb": "emb",
    "hidden": "hidden",
    "vocab": "vocab",
    "nlayers": "layers",
    "npos": "max_memory",
    "heads": "heads",
    "tie": "tied",
}
"""The file's name of every size, and `Config`'s."""
DROPOUTS = {"dropouti": "dropout_embedding", "dropouth": "dropout_hidden", "dropout": "dropout_output"}
"""The file's name of every dropout rate, and `Config`'s. A rate that the file lacks is 0."""


def export_parameters(checkpoint: str | Path, path: str | Path) -> None:
    """Write a checkpoint's parameters, config and vocabulary for Julia.

    Raises `ConfigError` for a model that SHA-RNN.jl does not have (other semantics, attention elsewhere, a baseline),
    `WeightsError` for weights that are not float32, and what `load_checkpoint` raises.
    """
    loaded = load_checkpoint(checkpoint)
    config = loaded.model.config
    if not isinstance(config, Config):
        raise ConfigError(f"{checkpoint} holds a baseline; SHA-RNN's parameters are asked for")
    if config != _julia_config(_sizes(config)):
        raise ConfigError(
            f"{checkpoint} is not a model of SHA-RNN.jl's: that has julia's semantics in every row, attention in the "
            "second to last block alone, and its values not collapsed"
        )
    state = loaded.model.state_dict()
    other = {str(tensor.dtype) for tensor in state.values()} - {"torch.float32"}
    if other:
        raise WeightsError(f"{checkpoint} has weights of {', '.join(sorted(other))}; SHA-RNN.jl's are float32")
    words = [] if loaded.vocabulary is None else list(loaded.vocabulary.tokens)
    metadata = {"format": FORMAT, "config": json.dumps(_sizes(config)), "vocabulary": json.dumps(words)}
    write_bytes(path, save(to_julia(state, config), metadata))


def import_parameters(path: str | Path, checkpoint: str | Path) -> None:
    """Make a checkpoint from a file of parameters, or from a `.jld2` saved by SHA-RNN.jl where it can be read here.

    Raises `CheckpointError` for a damaged or foreign file, or a `.jld2` whose packages are missing here,
    `WeightsError` naming every missing, surplus or wrongly shaped parameter, `ConfigError` for sizes no model has.
    """
    path = Path(path)
    if path.suffix == ".jld2":
        with tempfile.TemporaryDirectory() as folder:
            converted = Path(folder) / "parameters.safetensors"
            _convert_jld2(path, converted)
            import_parameters(converted, checkpoint)
        return
    metadata, parameters = _read(path)
    config = _julia_config(_entry(path, metadata, "config", dict))
    words = _entry(path, metadata, "vocabulary", list)
    if not all(isinstance(word, str) for word in words):
        raise CheckpointError(f"{path}: the header's 'vocabulary' holds something other than strings")
    model = SHARNN(config)
    # A smaller vocabulary would be an error of load_state_dict; that every name and shape fits is checked here.
    model.load_state_dict(from_julia(parameters, config))
    save_checkpoint(model, checkpoint, Vocabulary(words) if words else None)


def _sizes(config: Config) -> dict[str, Any]:
    return {theirs: getattr(config, ours) for theirs, ours in (JULIA_KEYS | DROPOUTS).items()}


def _julia_config(sizes: dict[str, Any]) -> Config:
    missing = sorted(JULIA_KEYS.keys() - sizes.keys())
    if missing:
        raise ConfigError(f"the config of SHA-RNN.jl's parameters has no {', '.join(missing)}")
    values = {ours: sizes[theirs] for theirs, ours in (JULIA_KEYS | DROPOUTS).items() if theirs in sizes}
    return Config(**values, semantics=JULIA)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            parameters = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as a file of SHA-RNN.jl's parameters: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a safetensors file, but not one of SHA-RNN.jl's parameters ({FORMAT!r})")
    for name, tensor in parameters.items():
        if tensor.dtype != torch.float32:
            raise WeightsError(f"{path}: {name} is {tensor.dtype}; SHA-RNN.jl's parameters are float32")
    return metadata, parameters


def _entry(path: Path, metadata: dict[str, str], key: str, kind: type) -> Any:
    try:
        value = json.loads(metadata[key])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: the header has no readable {key!r}: {error}") from error
    if not isinstance(value, kind):
        raise CheckpointError(f"{path}: the header's {key!r} is not a JSON {kind.__name__}")
    return value


def _convert_jld2(path: Path, converted: Path) -> None:
    """Have the user's own Julia, with the real packages, save the parameters; or say how to."""
    project, checkout, julia = os.environ.get(KNET_PROJECT), os.environ.get(CHECKOUT), shutil.which("julia")
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    if not (project and checkout and julia):
        command = ["julia", "--project=PROJECT", str(SCRIPT), "CHECKOUT", str(path), f"{path.stem}.safetensors"]
        raise CheckpointError(
            f"{path} can be read only by Julia with the packages that wrote it, and {KNET_PROJECT} (a Julia project "
            f"with Knet), {CHECKOUT} (a checkout of SHA-RNN.jl) and julia on the PATH are not all there. Where they "
            f"are, run\n    {shlex.join(command)}\nand import what it writes."
        )
    command = [julia, f"--project={project}", str(SCRIPT), checkout, str(path), str(converted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JuliaError(f"{shlex.join(command)} ended with status {done.returncode}:\n{done.stderr.strip()}")
