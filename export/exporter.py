"""From a checkpoint folder to an export folder: ONNX graphs, their weights, a manifest, and the checkpoint's files."""

import dataclasses
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from export.check import check_export
from export.describe import describe_graph
from export.errors import ExportError
from export.fold import fold
from export.golden import golden
from export.graph.builder import OPSET, Precision, Weights, stored
from export.graph.int8 import quantise_products
from export.graph.ring import to_memory, to_ring
from export.graph.segment import segment
from export.graph.small_weights import BITS, SmallWeights, quantise_blocks
from export.graph.step import step
from export.manifest import CHECKING, GOLDEN, NAME, SERVING, Manifest, describe_files, describe_vocabulary
from export.placement import unplaceable
from export.replicas import truth_and_replicas
from export.rules import rules
from sharnn_py.checkpoint import load_checkpoint
from sharnn_py.errors import ConfigError
from sharnn_py.files import write_bytes, write_text
from sharnn_py.identity import identity
from sharnn_py.memory import most_keys_of_a_step
from sharnn_py.model import SHARNN
from sharnn_py.sampling import Sampling
from sharnn_py.scratch import scratch


def export_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    precision: Precision = "float32",
    weights: SmallWeights | None = None,
    int8: bool = False,
    capacity: int | None = None,
    check: bool = False,
) -> Manifest:
    """Export the model in folder `checkpoint` to `folder`, whole or not at all; an earlier export there is replaced.

    `precision` is that of weights, both graphs and state. With `weights` "int8" or "int4" the matrices of the blocks
    are stored so, and products read them so, on the CPU and on CUDA; all else keeps its precision. `int8` adds
    `step.int8.onnx`, for the CPU. `capacity` is the most slots a ring may have, by default as many as the model can
    attend to. With `check` the export is compared with the PyTorch model, and the figures are kept in the manifest.

    Returns the manifest that was written. Raises `ExportError` for a folder that holds anything but an export, a model
    that cannot be exported, or a check that fails; `ConfigError` for options that do not go together; and what
    `sharnn_py.load_checkpoint` raises.
    """
    checkpoint, folder = Path(checkpoint), Path(folder)
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / NAME).exists())):
        raise ExportError(f"{folder} exists and is not an export; choose another folder, or remove it first")
    loaded = load_checkpoint(checkpoint)
    model = loaded.model
    if not isinstance(model, SHARNN):
        raise ExportError(f"{checkpoint} holds a baseline; only SHA-RNN models are exported")
    if int8 and precision != "float32":
        raise ConfigError("int8 goes with float32: its step is for the CPU, and carries float32 state")
    if int8 and weights is not None:
        raise ConfigError(f"int8 adds a step to an export of float32 weights, and these are {weights}; choose one")
    if weights not in (None, *BITS):
        raise ConfigError(f"weights is {weights!r}; choose {' or '.join(BITS)}, or None for those of the precision")
    if capacity is not None and capacity < 1:
        raise ConfigError(f"capacity is {capacity}; a ring has at least 1 slot")
    most_keys = most_keys_of_a_step(model.config)
    capacity = most_keys if capacity is None else min(capacity, most_keys)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch(folder.parent, f".{folder.name}.") as own:
        beside, old = own / "new", own / "old"
        beside.mkdir()
        files = {"model.safetensors": CHECKING}
        files |= {name: SERVING for name in ("config.json", "vocabulary.json") if (checkpoint / name).exists()}
        for name in files:
            shutil.copyfile(checkpoint / name, beside / name)
        graphs = _write_graphs(model, beside, precision, files, weights, int8)
        dtype = getattr(torch, precision)
        write_text(beside / GOLDEN, golden(truth_and_replicas(model, dtype, weights), dtype, capacity))
        files[GOLDEN] = CHECKING
        manifest = Manifest(
            config=model.config.to_json(),
            precision=precision,
            opset=OPSET,
            capacity=capacity,
            rules=rules(model.config),
            vocabulary=None if loaded.vocabulary is None else describe_vocabulary(loaded.vocabulary),
            sampling=dataclasses.asdict(Sampling()),
            golden=GOLDEN,
            graphs=graphs,
            files=describe_files(beside, files),
            check=None,
            model=identity(model.config, model.state_dict()),
        )
        write_text(beside / NAME, manifest.to_json())
        if check:
            manifest = _checked(beside, manifest)
        try:
            if folder.exists():
                os.replace(folder, old)
            os.replace(beside, folder)  # whole: no half-written folder can ever be seen
        except BaseException:
            if old.exists():
                os.replace(old, folder)
            raise
    return manifest


def _write_graphs(
    model: SHARNN,
    folder: Path,
    precision: Precision,
    files: dict[str, str],
    small: SmallWeights | None,
    int8: bool,
) -> dict[str, dict[str, Any]]:
    config = model.config
    parameters = {name: tensor.detach().cpu().double().numpy() for name, tensor in model.state_dict().items()}
    folded = fold(parameters, config)
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes inf, which is refused below by name
        if small is None:
            rounded = {name: weight.astype(precision) for name, weight in folded.items()}
        else:
            rounded = quantise_blocks(folded, small, precision)
    weights = _write_weights(folder, "weights.safetensors", rounded, files)
    graphs = {
        "segment": segment(config, precision, weights),
        "step": step(config, precision, weights),
        "to_ring": to_ring(config, precision),
        "to_memory": to_memory(config, precision),
    }
    if faults := [str(fault) for graph in graphs.values() for fault in unplaceable(graph)]:
        raise ExportError("CUDA could not take every node: " + "; ".join(faults))
    if int8:
        quantised = _write_weights(folder, "weights.int8.safetensors", quantise_products(folded), files)
        graphs["step.int8"] = step(config, precision, weights | quantised)
    described = {}
    for name, graph in graphs.items():
        file = f"{name}.onnx"
        write_bytes(folder / file, graph.SerializeToString())
        onnx.checker.check_model(str(folder / file), full_check=True)  # by path, to reach the weights beside it
        files[file] = SERVING
        described[name] = describe_graph(file, graph)
    return described


def _write_weights(folder: Path, file: str, weights: Mapping[str, NDArray[Any]], files: dict[str, str]) -> Weights:
    infinite = [name for name, w in weights.items() if not np.isfinite(w).all()]
    if infinite:
        raise ExportError(f"{', '.join(infinite)}: not finite in the export's precision; the model cannot be exported")
    data = save({name: np.ascontiguousarray(w) for name, w in weights.items()})
    write_bytes(folder / file, data)
    files[file] = SERVING
    return stored(file, data)


def _checked(folder: Path, manifest: Manifest) -> Manifest:
    """Check the export in `folder` and add the figures to its manifest. Raises `ExportError` if it does not pass."""
    result = check_export(folder)
    if not result.passed:
        raise ExportError(f"the export does not compute what the model does, and was not written: {result.summary()}")
    manifest = dataclasses.replace(manifest, check=result.to_json())
    write_text(folder / NAME, manifest.to_json())
    return manifest
