"""The `segment` graph's mask. It leaves out the memory rows that row 4 of docs/semantics.md drops."""

import numpy as np
from numpy.typing import NDArray

from sharnn_py.config import Config
from sharnn_py.memory import rows_dropped


def segment_mask(config: Config, rows: int, steps: int) -> NDArray[np.float32]:
    """Additive mask (T, M + T), 0 and -inf, for T = `steps` on M = `rows` memory rows of every block that attends."""
    attending = config.attention_layers or ()
    held = [rows if config.attends(i) else 0 for i in range(config.layers)]
    dropped = min(rows, max(rows_dropped(config, held, steps, i) for i in attending))
    mask = np.full((steps, rows + steps), -np.inf, np.float32)
    mask = np.triu(mask, k=rows + 1)
    mask[:, :dropped] = -np.inf
    return mask
