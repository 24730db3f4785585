"""Where phrases lie on a map: t-SNE, which keeps near what is near, and every phrase's nearest ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sharnn_py.files import beside
from sharnn_py.missing import explained

NEIGHBOURS = 8
"""How many of its nearest phrases are kept for each."""
PERPLEXITY = 30.0
"""About how many neighbours t-SNE has each phrase stay near to."""
SEED = 1
SIDE = 65535
"""The map's width and height: positions are whole numbers up to this."""
FEW = 100
"""Fewer phrases t-SNE draws together into one point; they lie as their two principal components have it."""


def lay_out(vectors: NDArray[np.float32]) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Positions (phrases, 2) on the map for vectors (phrases, D), and each one's nearest (phrases, at most 8)."""
    count = len(vectors)
    if count < FEW:
        order = np.argsort(-(vectors @ vectors.T), axis=1, kind="stable")
        nearest = np.array([[other for other in row if other != one] for one, row in enumerate(order)], np.int32)
        directions = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)[2][:2]
        plane = np.zeros((count, 2))
        plane[:, : len(directions)] = (vectors - vectors.mean(axis=0)) @ directions.T
        return _on_the_map(plane), nearest.reshape(count, -1)[:, :NEIGHBOURS]
    with explained("the map"):
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PerplexityBasedNN
        from openTSNE.initialization import pca
        from openTSNE.nearest_neighbors import Annoy
    perplexity = min(PERPLEXITY, (count - 1) / 3 - 1e-9)
    index = Annoy(vectors, k=min(count - 1, int(3 * perplexity)), metric="euclidean", random_state=SEED)
    nearest = index.build()[0]
    affinities = PerplexityBasedNN(knn_index=index, perplexity=perplexity)
    embedding = TSNEEmbedding(
        pca(vectors, random_state=SEED), affinities, negative_gradient_method="auto", random_state=SEED, n_jobs=1
    )
    embedding = embedding.optimize(n_iter=250, exaggeration=12, momentum=0.5)
    embedding = embedding.optimize(n_iter=500, exaggeration=1, momentum=0.8)
    return _on_the_map(np.asarray(embedding)), np.asarray(nearest[:, :NEIGHBOURS], np.int32)


def laid_out(vectors: NDArray[np.float32], file: Path) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """As `lay_out`, kept in `file`, since it takes a minute for tens of thousands of phrases. Raises `OSError`."""
    if file.exists():
        with np.load(file) as kept:
            return kept["positions"], kept["nearest"]
    positions, nearest = lay_out(vectors)
    with beside(file) as written:
        np.savez(written, positions=positions, nearest=nearest)
    return positions, nearest


def _on_the_map(positions: NDArray[np.float64]) -> NDArray[np.uint16]:
    low, high = positions.min(axis=0), positions.max(axis=0)
    spread = max(float((high - low).max()), 1e-12)
    centred = (positions - (low + high) / 2) / spread + 0.5
    return np.asarray(np.round(centred * SIDE).clip(0, SIDE), np.uint16)
