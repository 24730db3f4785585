"""The weights that the graphs hold: everything in a SHA-RNN that does not depend on its input, computed once.

Folding is done in float64; whoever stores the result rounds it, once. Names:

| folded | shape | from |
| --- | --- | --- |
| `encoder.weight` | (V, H) | as it is |
| `blocks.*.rnn.W`, `blocks.*.rnn.R` | (H, 4H) | transposed; torch's gates i f g o put in ONNX's order i o f c |
| `blocks.*.rnn.B` | (8H,) | both biases added, then 4H zeros: ONNX's second bias |
| `blocks.*.<norm>.weight`, `.bias` | (H,) | of every LayerNorm; under julia the weight times sqrt((H-1)/H) |
| `blocks.*.attn.q.weight` | (H, H) | transposed: (in, out) |
| `blocks.*.attn.qln.weight`, `.bias` | (H,) | times sigmoid(qs) sigmoid(ks), under paper also 1/sqrt(d) |
| `blocks.*.attn.gain` | (H,) | overparam(sigmoid(vs)), the gain of the values |
| `blocks.*.boom.weight`, `.bias` | (H, F'), (F',) | transposed; under paper cut to F', the last whole multiple of H |
| `decoder.weight`, `decoder.bias` | (V, H), (V,) | where the model has them |

The gain of the keys can move to the queries, as q . (ks * k) = (q * ks) . k, and the gain of the values can be applied
after the mix, as it is the same for every key. So one tensor, the memory, serves as keys and as values.

Weights of products are stored (in, out), so that a row times such a matrix reads it from end to end. ONNX's LSTM takes
its weights transposed; runtimes transpose them once, when they load `segment`.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sharnn_py.config import Config, Program

Array = NDArray[np.float64]

LAYER_NORM_EPS = 1e-12  # equal to `sharnn_py.layers.EPS`, whose module loads torch


def fold(parameters: Mapping[str, Array], config: Config) -> dict[str, Array]:
    """The graphs' weights, float64, from a model's parameters under the names of `SHARNN.state_dict`."""
    folded = {"encoder.weight": parameters["encoder.weight"]}
    for i in range(config.layers):
        prefix = f"blocks.{i}."
        block = {name.removeprefix(prefix): p for name, p in parameters.items() if name.startswith(prefix)}
        folded.update({prefix + name: array for name, array in _block(block, config, config.attends(i)).items()})
    if not config.tied:
        folded["decoder.weight"] = parameters["decoder.weight"]
    if config.decoder_bias:
        folded["decoder.bias"] = parameters["decoder.bias"]
    return folded


def norm_eps(program: Program, width: int) -> float:
    """The eps inside the root with which LayerNormalization over `width` numbers stands for `program`'s LayerNorm.

    julia adds eps to the root: with s the deviation over n and r = sqrt((n-1)/n), the divisor is (s + r eps) / r.
    The r goes into the weight. No ONNX operator has its eps outside the root; sqrt(s^2 + (r eps)^2) differs from
    s + r eps by a factor between 1/sqrt(2) and 1, never by more than r eps / s, and on a constant row, where
    s = 0, both give the bias exactly.
    """
    return LAYER_NORM_EPS if program == "paper" else LAYER_NORM_EPS**2 * (width - 1) / width


def _block(block: Mapping[str, Array], config: Config, attends: bool) -> dict[str, Array]:
    H, program = config.emb, config.semantics.layer_norm
    bias = _gates(block["rnn.bias_ih_l0"] + block["rnn.bias_hh_l0"])
    folded = {
        "rnn.W": _gates(block["rnn.weight_ih_l0"]).T,
        "rnn.R": _gates(block["rnn.weight_hh_l0"]).T,
        "rnn.B": np.concatenate([bias, np.zeros_like(bias)]),
    }
    for norm in ("lnstart", "lnff", "lnxff", *(("lnmem", "lnmid", "attn.qln") if attends else ())):
        gain = np.sqrt((H - 1) / H) if program == "julia" else 1.0
        folded[f"{norm}.weight"] = block[f"{norm}.weight"] * gain
        folded[f"{norm}.bias"] = block[f"{norm}.bias"]
    if attends:
        folded |= {"attn.q.weight": block["attn.q.weight"].T, "attn.q.bias": block["attn.q.bias"]}
        gain = _sigmoid(block["attn.qs"]) * _sigmoid(block["attn.ks"])
        if config.semantics.attention_scale == "paper":
            gain = gain / np.sqrt(H // config.heads)
        folded["attn.qln.weight"] = folded["attn.qln.weight"] * gain
        folded["attn.qln.bias"] = folded["attn.qln.bias"] * gain
        folded["attn.gain"] = _value_gain(block, config)
    used = config.hidden // H * H
    folded |= {"boom.weight": block["boom.linear.weight"][:used].T, "boom.bias": block["boom.linear.bias"][:used]}
    return folded


def _gates(rows: Array) -> Array:
    """(4H, ...) from torch's order of gates, i f g o, to ONNX's, i o f c."""
    i, f, c, o = np.split(rows, 4)
    return np.concatenate([i, o, f, c])


def _value_gain(block: Mapping[str, Array], config: Config) -> Array:
    if config.collapsed_values:
        return block["attn.vs"]
    both = block["attn.overparam.weight"] @ _sigmoid(block["attn.vs"]) + block["attn.overparam.bias"]
    c, f = np.split(both, 2)
    gain: Array = _sigmoid(f) * np.tanh(c)
    return gain


def _sigmoid(x: Array) -> Array:
    half: Array = 0.5 * (1.0 + np.tanh(0.5 * x))  # unlike exp(-x), it does not overflow
    return half
