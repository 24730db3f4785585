"""A run on disk: all that goes on from there needs, in one safetensors file that is replaced as a whole.

CHECKPOINT/                       the best model so far, by the held-out text: a checkpoint like any other
CHECKPOINT/last/                  the model as it was when the run was saved last, also a checkpoint
CHECKPOINT/training/run.safetensors   parameters, optimiser, state, random numbers, and where the run is
CHECKPOINT/training/log.csv, tensorboard/, curve.png
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from sharnn_py.errors import CheckpointError, InputError
from sharnn_py.files import write_bytes
from sharnn_py.state import LayerState, State

FORMAT = 1
_ENTRY = "sharnn_training"

Carried = State | tuple[Tensor, Tensor] | None
"""What a model carries between segments: a SHA-RNN's state or a baseline's (h, c); None before new sequences."""


def training_folder(checkpoint: Path) -> Path:
    """Where the run that trains `checkpoint` keeps what is its own."""
    return checkpoint / "training"


def run_file(checkpoint: Path) -> Path:
    """The file that the run which trains `checkpoint` goes on from."""
    return training_folder(checkpoint) / "run.safetensors"


def write_run(checkpoint: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write a run, whole or not at all. Raises `OSError`."""
    path = run_file(checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_bytes(path, save(ours, {_ENTRY: json.dumps({"format": FORMAT, **facts})}))


def read_run(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts that `write_run` wrote. Raises `CheckpointError` for a missing or damaged file."""
    path = run_file(checkpoint)
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})[_ENTRY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not a training run that can be read: {error}") from error
    if facts.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {facts.get('format')}; this version reads format {FORMAT}")
    return tensors, facts


def check_folder(checkpoint: Path, resume: bool) -> None:
    """Raise `InputError` if a run may not write to `checkpoint`: what is there is another's, or not to be replaced."""
    held = run_file(checkpoint).exists()
    if resume and not held:
        raise InputError(f"{checkpoint} holds no training run to go on with; leave out --resume to begin one there")
    if held and not resume:
        raise InputError(f"{checkpoint} holds a training run; give --resume to go on with it, or another folder")
    if not held and checkpoint.exists() and (not checkpoint.is_dir() or any(checkpoint.iterdir())):
        raise InputError(f"{checkpoint} holds something else than a training run; give a new folder, or an empty one")


def chosen(tensors: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors called `kind`, a point, and a rest, by that rest."""
    prefix = f"{kind}."
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def named(kind: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `chosen`."""
    return {f"{kind}.{name}": tensor for name, tensor in tensors.items()}


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """The tensors of an optimiser's state, by the number of the parameter and their name."""
    return {
        f"{number}.{name}": tensor
        for number, state in optimiser.state_dict()["state"].items()
        for name, tensor in state.items()
    }


def optimiser_groups(optimiser: Optimizer) -> list[dict[str, Any]]:
    """The options of an optimiser's groups, JSON-ready."""
    groups = optimiser.state_dict()["param_groups"]
    return [{name: value for name, value in group.items() if name != "params"} for group in groups]


def restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor], groups: list[dict[str, Any]]) -> None:
    """Put an optimiser into the state that `optimiser_tensors` and `optimiser_groups` gave."""
    now = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    restored = [{**new, "params": old["params"]} for new, old in zip(groups, now["param_groups"], strict=True)]
    optimiser.load_state_dict({"state": state, "param_groups": restored})


def columns_of(carried: Carried) -> list[list[Tensor]]:
    """The tensors of a state, layer by layer, on the CPU."""
    if carried is None:
        return []
    layers = [layer.tensors() for layer in carried.layers] if isinstance(carried, State) else [carried]
    return [[tensor.detach().cpu() for tensor in layer] for layer in layers]


def joined(parts: list[list[list[Tensor]]]) -> dict[str, Tensor]:
    """The state of a whole batch from `columns_of` of each rank, in the order of ranks."""
    tensors = {}
    for i, layers in enumerate(zip(*parts, strict=True)):
        for j, pieces in enumerate(zip(*layers, strict=True)):
            tensors[f"{i}.{j}"] = torch.cat(pieces, dim=pieces[0].ndim - 2)  # (B, H), (M, B, H) or (L, B, H)
    return tensors


def carried_from(tensors: dict[str, Tensor], rank: int, world: int, device: torch.device) -> Carried:
    """The columns of rank `rank` among `world` of the state that `joined` gave."""
    layers: dict[int, list[Tensor]] = {}
    for key in sorted(tensors, key=lambda name: [int(number) for number in name.split(".")]):
        tensor = tensors[key]
        layers.setdefault(int(key.partition(".")[0]), []).append(
            tensor.chunk(world, dim=tensor.ndim - 2)[rank].to(device).contiguous()
        )
    if not layers:
        return None
    if len(layers[0]) == 2:
        return layers[0][0], layers[0][1]
    return State(tuple(LayerState(*layer) for layer in layers.values()))
