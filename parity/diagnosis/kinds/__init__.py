"""The kinds of operations that diagnosis knows, by the names that steps give them."""

from parity.diagnosis.kind import Kind
from parity.diagnosis.kinds.activation import ACTIVATION
from parity.diagnosis.kinds.arithmetic import ADD, PRODUCT, SAME, SELECT, STACK
from parity.diagnosis.kinds.chunks import CHUNK_SUMS
from parity.diagnosis.kinds.embedding import EMBEDDING
from parity.diagnosis.kinds.gate import GATE
from parity.diagnosis.kinds.gru import GRU
from parity.diagnosis.kinds.heads import ATTENTION_MIX, ATTENTION_PRODUCTS, MERGE_HEADS
from parity.diagnosis.kinds.lamb import LAMB, MOVED
from parity.diagnosis.kinds.linear import LINEAR
from parity.diagnosis.kinds.loss import NLL
from parity.diagnosis.kinds.lstm import LSTM
from parity.diagnosis.kinds.mask import CAUSAL_MASK, MASKED
from parity.diagnosis.kinds.memory import CARRIED, CONCAT, DROP_ROWS, LAST_ROWS
from parity.diagnosis.kinds.moments import CLIPPED, MOMENT, SQUARE_MOMENT
from parity.diagnosis.kinds.norm import LAYER_NORM
from parity.diagnosis.kinds.parameter import PARAMETER
from parity.diagnosis.kinds.scale import SCALE
from parity.diagnosis.kinds.softmax import SOFTMAX

KINDS: dict[str, Kind] = {
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
"""An operation of any other name is left alone: what it gives is taken as the subject gives it."""

__all__ = ["KINDS"]
