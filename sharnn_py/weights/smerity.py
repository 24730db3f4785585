"""Converting Smerity/sha-rnn's state_dict to the port's and back. Blocks count from 0 in both; axes are torch's.

The program builds parameters that it never computes with (`UNUSED_*` below). The port has none of them: to write a
state_dict back bit for bit, `to_smerity` takes them from the state_dict that was loaded.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sharnn_py.config import Config
from sharnn_py.errors import WeightsError
from sharnn_py.weights.shapes import parameter_shapes
from sharnn_py.weights.table import SAME, Row, block_rows, check_names_and_shapes, leading_ones, to_ours, to_theirs

PROGRAM = "Smerity's state_dict"


def _same(theirs: str, ours: str = "") -> list[Row]:
    return [(f"{theirs}.{part}", (f"{ours or theirs}.{part}",), SAME) for part in ("weight", "bias")]


EVERY_BLOCK: list[Row] = [
    *_same("lnstart"),
    *((f"rnn.{part}_l0", (f"rnn.{part}_l0",), SAME) for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    *_same("lnff"),
    *_same("lnxff"),
    *_same("ff.linear1", "boom.linear"),
]
ATTENDING_BLOCK: list[Row] = [
    *_same("lnmem"),
    *_same("lnmid"),
    *_same("attn.q"),
    *_same("attn.qln"),
    *((f"attn.{gain}", (f"attn.{gain}",), leading_ones(2)) for gain in ("qs", "ks", "vs")),
]
OVERPARAM = _same("attn.vq.l1", "attn.overparam")

# Name, shape in units of H. In every block; in a block that attends; in a block that does not.
UNUSED_EVERYWHERE = [("lnout.weight", (1,)), ("lnout.bias", (1,))]
UNUSED_ATTENDING = [("attn.qkvs", (1, 3, 1)), ("attn.r_gate", (1, 1, 1))]
UNUSED_NOT_ATTENDING = [(f"{norm}.{part}", (1,)) for norm in ("lnmid", "lnmem") for part in ("weight", "bias")]


def rows(config: Config) -> list[Row]:
    """The whole table of used parameters for a SHA-RNN of `config`, in the order of the forward pass."""
    attending = ATTENDING_BLOCK + ([] if config.collapsed_values else OVERPARAM)
    weight, bias = _same("decoder")
    table = _same("encoder")[:1]
    for i in range(config.layers):
        table += block_rows(EVERY_BLOCK + (attending if config.attends(i) else []), i, i)
    return table + ([] if config.tied else [weight]) + ([bias] if config.decoder_bias else [])


def unused_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that Smerity's model of `config` holds and never computes with."""
    shapes = {}
    for i in range(config.layers):
        for name, shape in UNUSED_EVERYWHERE + (UNUSED_ATTENDING if config.attends(i) else UNUSED_NOT_ATTENDING):
            shapes[f"blocks.{i}.{name}"] = (*shape[:-1], config.emb)
    return shapes


def from_smerity(state_dict: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """A state_dict for `SHARNN(config)` from Smerity's, bit for bit.

    The tensors that Smerity's program holds and never uses are checked and dropped. After `vq_collapse` give a
    config with `collapsed_values=True`. A tied `decoder.weight`, which torch's state_dict repeats, must equal the
    encoder's. Raises `WeightsError` naming every missing, surplus or wrongly shaped tensor.
    """
    given = dict(state_dict)
    tied_again = given.pop("decoder.weight", None) if config.tied else None
    if tied_again is not None and not torch.equal(tied_again, given.get("encoder.weight", torch.empty(0))):
        raise WeightsError(f"{PROGRAM}: decoder.weight differs from encoder.weight, but the config says tied")
    expected_unused = unused_shapes(config)
    unused = {name: given.pop(name) for name in expected_unused if name in given}
    parameters = to_ours(given, rows(config), parameter_shapes(config), PROGRAM)
    check_names_and_shapes({name: tuple(t.shape) for name, t in unused.items()}, expected_unused, PROGRAM)
    return parameters


def to_smerity(state_dict: Mapping[str, Tensor], config: Config, unused: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Smerity's state_dict from a state_dict of the port; the inverse of `from_smerity`, bit for bit.

    The tensors that Smerity's program holds and never uses are taken from `unused`: the state_dict that the
    parameters once came from, or anything else that holds them. Those it lacks are left out, and Smerity's program
    will not load such a state_dict.
    """
    kept = {name: unused[name] for name in unused_shapes(config) if name in unused}
    return {**to_theirs(state_dict, rows(config)), **kept}
