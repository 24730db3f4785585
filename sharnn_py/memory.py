"""Which memory rows a block attends to (row 4 of docs/semantics.md), and the mask over them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sharnn_py.config import Config


def rows_dropped(config: Config, held: Sequence[int], steps: int, layer: int) -> int:
    """How many of its oldest memory rows block `layer` drops before it attends.

    `held` is the number of memory rows each block holds, `steps` the T of the coming segment. The result may be
    more than the block holds; then nothing is left. Sources: the head of `(s::SHARNN)(x)` in SHA-RNN.jl's
    `src/model.jl`, the head of `SHARNN.forward` in Smerity's `model.py`.
    """
    N, T = config.max_memory, steps
    if config.semantics.memory_cut == "paper":
        # Smerity slices m[-(N - T):]; for T = N that is m[0:], all of it, for T > N it is m[T - N:].
        return max(0, held[layer] + T - N) if T < N else T - N
    # SHA-RNN.jl reads one length, that of block 1, for all blocks. A block without attention holds an empty
    # vector there, whose length along the time axis Julia gives as 1.
    first = held[0] if config.attends(0) else 1
    return max(0, first + T - N)


def causal_mask(memory: int, steps: int, like: Tensor) -> Tensor:
    """Additive mask, (T, M+T): 0 over all memory rows and the past, -inf above the diagonal of the new rows."""
    mask = torch.full((steps, memory + steps), float("-inf"), dtype=like.dtype, device=like.device)
    return mask.triu_(diagonal=memory + 1)
