"""From pooled hidden states to vectors that can be compared: centred, whitened, of length one.

Hidden states lie in a narrow cone, where every phrase is close to every other: what they have in common is subtracted,
and directions in which phrases differ much anyway are made no longer than the rest. Of all that was tried this mattered
most (docs/yarn.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sharnn_py.files import write_bytes
from sharnn_py.yarn.errors import IndexFolderError

WIDEST = 512
"""The most numbers of a vector: of the directions in which phrases differ, those where they differ most."""
FLOOR = 0.01
"""What is added to the variance of every direction, as a share of their mean, so that noise is not magnified."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Sense:
    """The map from pooled hidden states (W,) to vectors (D,), fitted to the phrases of an index."""

    mean: NDArray[np.float32]
    """The mean of all phrases, (W,)."""
    matrix: NDArray[np.float32]
    """What whitens them, (W, D)."""

    @classmethod
    def fit(cls, batches: Iterable[NDArray[np.float32]], blocks: Sequence[int]) -> Sense:
        """The map for phrases given as batches (phrases, W), whose W numbers are in `blocks` of these widths.

        Blocks count the same, whatever their scale. Where phrases are few, variances are known badly: the floor is
        then the number of directions for each phrase.
        """
        width = sum(blocks)
        total, squares, count = np.zeros(width), np.zeros((width, width)), 0
        for batch in batches:
            wide = batch.astype(np.float64)
            total += wide.sum(axis=0)
            squares += wide.T @ wide
            count += len(wide)
        mean = total / count
        covariance = squares / count - np.outer(mean, mean)
        scale = np.concatenate([_one_over_rms(part) for part in _split(np.diag(covariance), blocks)])
        values, directions = np.linalg.eigh(covariance * np.outer(scale, scale))
        values, directions = values[::-1], directions[:, ::-1]
        floor = max(FLOOR, width / count) * values.mean()
        kept = max(1, min(WIDEST, int((values > 1e-6 * values.mean()).sum())))
        matrix = scale[:, None] * directions[:, :kept] / np.sqrt(np.maximum(values[:kept], 0) + floor + 1e-30)
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def __call__(self, pooled: NDArray[np.float32]) -> Vectors:
        """The vectors, (phrases, D), of length one, of pooled hidden states (phrases, W)."""
        vectors = (pooled - self.mean) @ self.matrix
        return normalised(vectors)

    def save(self, path: Path) -> None:
        """Write the map to the safetensors file `path`. Raises `OSError`."""
        write_bytes(path, save({"mean": self.mean, "matrix": self.matrix}))

    @classmethod
    def load(cls, path: Path) -> Sense:
        """The map that `save` wrote to `path`. Raises `IndexFolderError` for anything else."""
        try:
            return cls(**load(path.read_bytes()))
        except (OSError, SafetensorError, TypeError) as error:
            raise IndexFolderError(f"{path} is damaged ({error}); index the texts again, elsewhere") from error


def normalised(vectors: NDArray[np.floating[Any]]) -> Vectors:
    """`vectors` (..., D) at length one; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    found: Vectors = (vectors / np.maximum(length, np.finfo(np.float32).tiny)).astype(np.float32)
    return found


def _split(numbers: NDArray[np.float64], blocks: Sequence[int]) -> list[NDArray[np.float64]]:
    return np.split(numbers, np.cumsum(blocks)[:-1])


def _one_over_rms(variances: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(np.sqrt(max(variances.mean(), 0.0)))
    return np.full(len(variances), 1 / spread if spread > 0 else 0.0)
