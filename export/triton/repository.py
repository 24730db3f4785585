"""A model repository for Triton: an export as two models of its Python back end."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from string import Template
from typing import Any

from export.errors import ExportError, one_of
from export.manifest import NAME, SERVING
from export.serving.providers import PROVIDERS, Provider
from sharnn_py.files import write_text
from sharnn_py.scratch import scratch

EXPORT = "exported"
"""The folder of the export, within that of a model's version."""
_HERE = Path(__file__).parent
_MODELS = {"": "sequences", "_text": "texts"}
"""What is added to the name of the export for that of each model, and the module that runs it."""
_MODEL = '''"""Run by Triton's Python back end; what it does is in the installed package."""

from export.triton.{module} import TritonPythonModel as TritonPythonModel
'''


def write_repository(folder: str | Path, repository: str | Path, provider: Provider = "cpu") -> tuple[Path, ...]:
    """Write the export in `folder` to a model repository, as models NAME and NAME_text; NAME is that of `folder`.

    Each has a copy of the files that serving needs. With `provider` "cpu" it has one instance, else one on each GPU.
    Models that were written there before are replaced, whole or not at all; others in `repository` stay.

    Returns the models' folders. Raises `ExportError` for a name that Triton's addresses cannot hold, and folders of
    these names that are something else; `ConfigError` for an unknown provider; `OSError`.
    """
    folder, repository = Path(folder), Path(repository)
    models = check_repository(folder, repository)
    one_of("provider", provider, list(PROVIDERS))
    manifest = json.loads((folder / NAME).read_text(encoding="utf-8"))
    if manifest["vocabulary"] is None:
        models = models[:1]  # without a vocabulary nothing can be read
    kept = [NAME, *(name for name, entry in manifest["files"].items() if entry["for"] == SERVING)]
    repository.mkdir(parents=True, exist_ok=True)
    with scratch(repository, ".sharnn-triton-") as own:
        for model, module in zip(models, _MODELS.values(), strict=False):
            _write_model(own / model.name, module, folder, kept, _settings(model.name, manifest, provider))
        for model in models:
            if model.exists():
                os.replace(model, own / f"{model.name}.old")
            os.replace(own / model.name, model)
    return models


def check_repository(folder: Path, repository: Path) -> tuple[Path, ...]:
    """The folders that `write_repository` would write. Raises `ExportError` as it does."""
    name = folder.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ExportError(
            f"Triton would have to call the model {name!r}, after the export's folder; choose a name of letters, "
            "digits, dots, hyphens and underscores"
        )
    models = tuple(repository / f"{name}{end}" for end in _MODELS)
    for model in models:
        if model.exists() and not (model / "1" / EXPORT / NAME).exists():
            raise ExportError(f"{model} exists and is not a model of an export; choose another folder, or remove it")
    return models


def _settings(name: str, manifest: dict[str, Any], provider: Provider) -> dict[str, str]:
    return {
        "name": name,
        "provider": provider,
        "kind": "KIND_CPU" if provider == "cpu" else "KIND_GPU",
        "vocabulary": str(manifest["config"]["vocab"]),
    }


def _write_model(model: Path, module: str, folder: Path, kept: list[str], settings: dict[str, str]) -> None:
    export = model / "1" / EXPORT
    export.mkdir(parents=True)
    for name in kept:
        shutil.copyfile(folder / name, export / name)
    write_text(export.parent / "model.py", _MODEL.format(module=module))
    config = Template((_HERE / f"{module}.pbtxt").read_text(encoding="utf-8"))
    write_text(model / "config.pbtxt", config.substitute(settings))
