"""Blocks that are computed once more in the backward pass, instead of keeping all that it needs: less memory."""

from functools import partial

from torch.utils.checkpoint import checkpoint

from sharnn_py.model import SHARNN


def recompute_blocks(model: SHARNN) -> None:
    """Have each block of `model`, in place, keep only its input; gradients, dropout included, are the same bits."""
    for block in model.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
