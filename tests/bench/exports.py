"""Exports of models of random weights, kept from one benchmark to the next: one of the paper's size takes a while."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import torch

from export import export_checkpoint
from sharnn_py import SHARNN, save_checkpoint
from tests.bench.contenders import BYTES, SIZES

KEPT = Path.home() / ".cache" / "sharnn" / "bench"
ROOT = Path(__file__).parents[2]


def exported(size: str) -> Path:
    """The export of the model of that size ("small" or "paper"), as the sources at hand make it."""
    sources = sorted(path for package in ("export", "sharnn_py") for path in (ROOT / package).rglob("*.py"))
    digest = hashlib.sha256(repr(SIZES[size]).encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()
    kept = KEPT / f"{size}-{digest[:16]}" / "model"
    if not kept.exists():
        for other in KEPT.glob(f"{size}-*"):  # what other sources made
            shutil.rmtree(other)
        kept.parent.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
            made = Path(temporary)
            model = SHARNN(SIZES[size], torch.Generator().manual_seed(0)).eval()
            save_checkpoint(model, made / "checkpoint", BYTES)
            export_checkpoint(made / "checkpoint", made / "model")
            os.replace(made / "model", kept)
    return kept
