"""Which memory rows a block attends to: row 4 of docs/semantics.md."""

from collections.abc import Sequence

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


def most_keys_of_a_step(config: Config) -> int:
    """The most keys, memory and the new row, that a segment of one step ever attends to: N or N + 1."""
    N = config.max_memory
    held = [N if config.attends(i) else 0 for i in range(config.layers)]
    return max((max(0, N - rows_dropped(config, held, 1, i)) + 1 for i in config.attention_layers or ()), default=0)
