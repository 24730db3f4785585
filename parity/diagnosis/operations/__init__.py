"""The operations that diagnosis knows, by name, and how others are added."""

from parity.diagnosis.definition import OperationDefinition
from parity.diagnosis.operations.activation import ACTIVATION
from parity.diagnosis.operations.arithmetic import ADD, PRODUCT, SAME, SELECT, STACK
from parity.diagnosis.operations.chunks import CHUNK_SUMS
from parity.diagnosis.operations.embedding import EMBEDDING
from parity.diagnosis.operations.gate import GATE
from parity.diagnosis.operations.gru import GRU
from parity.diagnosis.operations.heads import ATTENTION_MIX, ATTENTION_PRODUCTS, MERGE_HEADS
from parity.diagnosis.operations.lamb import LAMB, MOVED
from parity.diagnosis.operations.linear import LINEAR
from parity.diagnosis.operations.loss import NLL
from parity.diagnosis.operations.lstm import LSTM
from parity.diagnosis.operations.mask import CAUSAL_MASK, MASKED
from parity.diagnosis.operations.memory import CARRIED, CONCAT, DROP_ROWS, LAST_ROWS
from parity.diagnosis.operations.moments import CLIPPED, MOMENT, SQUARE_MOMENT
from parity.diagnosis.operations.norm import LAYER_NORM
from parity.diagnosis.operations.parameter import PARAMETER
from parity.diagnosis.operations.scale import SCALE
from parity.diagnosis.operations.softmax import SOFTMAX
from parity.errors import UsageError

OPERATIONS: dict[str, OperationDefinition] = {
    "activation": ACTIVATION,
    "add": ADD,
    "attention_mix": ATTENTION_MIX,
    "attention_products": ATTENTION_PRODUCTS,
    "attention_scale": SCALE,
    "carried": CARRIED,
    "causal_mask": CAUSAL_MASK,
    "chunk_sums": CHUNK_SUMS,
    "clipped": CLIPPED,
    "concat": CONCAT,
    "drop_rows": DROP_ROWS,
    "embedding": EMBEDDING,
    "gate": GATE,
    "gru": GRU,
    "lamb": LAMB,
    "last_rows": LAST_ROWS,
    "layer_norm": LAYER_NORM,
    "linear": LINEAR,
    "lstm": LSTM,
    "masked": MASKED,
    "merge_heads": MERGE_HEADS,
    "moment": MOMENT,
    "moved": MOVED,
    "nll": NLL,
    "parameter": PARAMETER,
    "product": PRODUCT,
    "same": SAME,
    "select": SELECT,
    "softmax": SOFTMAX,
    "square_moment": SQUARE_MOMENT,
    "stack": STACK,
}
"""What diagnosis knows of each operation, by its name. An operation of any other name is left alone: what it gives is
taken as the subject gives it."""


def register(name: str, definition: OperationDefinition) -> None:
    """Make an operation known to diagnosis under the name that `parity.Operation` gives it.

    Raises `UsageError` for a name that is taken.
    """
    if name in OPERATIONS:
        raise UsageError(f"an operation {name!r} is registered already: give yours a name of its own")
    OPERATIONS[name] = definition


__all__ = ["OPERATIONS", "register"]
