"""Smerity/sha-rnn's state_dict and the port's. Blocks count from 0 in both; axes are torch's.

The program builds parameters that it never computes with (`UNUSED_*` below). The port has none of them: to write a
state_dict back bit for bit, `to_smerity` takes them from the state_dict that was loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sharnn_py.config import Config
from sharnn_py.errors import WeightsError
from sharnn_py.weights.shapes import parameter_shapes
from sharnn_py.weights.table import SAME, Row, block_rows, check_names_and_shapes, leading_ones, to_ours, to_theirs

PROGRAM = "Smerity's state_dict"

EVERY_BLOCK: list[Row] = [
    ("blocks.*.lnstart.weight", ("blocks.*.lnstart.weight",), SAME),
    ("blocks.*.lnstart.bias", ("blocks.*.lnstart.bias",), SAME),
    ("blocks.*.rnn.weight_ih_l0", ("blocks.*.rnn.weight_ih_l0",), SAME),
    ("blocks.*.rnn.weight_hh_l0", ("blocks.*.rnn.weight_hh_l0",), SAME),
    ("blocks.*.rnn.bias_ih_l0", ("blocks.*.rnn.bias_ih_l0",), SAME),
    ("blocks.*.rnn.bias_hh_l0", ("blocks.*.rnn.bias_hh_l0",), SAME),
    ("blocks.*.lnff.weight", ("blocks.*.lnff.weight",), SAME),
    ("blocks.*.lnff.bias", ("blocks.*.lnff.bias",), SAME),
    ("blocks.*.lnxff.weight", ("blocks.*.lnxff.weight",), SAME),
    ("blocks.*.lnxff.bias", ("blocks.*.lnxff.bias",), SAME),
    ("blocks.*.ff.linear1.weight", ("blocks.*.boom.linear.weight",), SAME),
    ("blocks.*.ff.linear1.bias", ("blocks.*.boom.linear.bias",), SAME),
]

ATTENDING_BLOCK: list[Row] = [
    ("blocks.*.lnmem.weight", ("blocks.*.lnmem.weight",), SAME),
    ("blocks.*.lnmem.bias", ("blocks.*.lnmem.bias",), SAME),
    ("blocks.*.lnmid.weight", ("blocks.*.lnmid.weight",), SAME),
    ("blocks.*.lnmid.bias", ("blocks.*.lnmid.bias",), SAME),
    ("blocks.*.attn.q.weight", ("blocks.*.attn.q.weight",), SAME),
    ("blocks.*.attn.q.bias", ("blocks.*.attn.q.bias",), SAME),
    ("blocks.*.attn.qln.weight", ("blocks.*.attn.qln.weight",), SAME),
    ("blocks.*.attn.qln.bias", ("blocks.*.attn.qln.bias",), SAME),
    ("blocks.*.attn.qs", ("blocks.*.attn.qs",), leading_ones(2)),
    ("blocks.*.attn.ks", ("blocks.*.attn.ks",), leading_ones(2)),
    ("blocks.*.attn.vs", ("blocks.*.attn.vs",), leading_ones(2)),
]

OVERPARAM: list[Row] = [
    ("blocks.*.attn.vq.l1.weight", ("blocks.*.attn.overparam.weight",), SAME),
    ("blocks.*.attn.vq.l1.bias", ("blocks.*.attn.overparam.bias",), SAME),
]

# Name, shape in units of H. In every block; in a block that attends; in a block that does not.
UNUSED_EVERYWHERE = [("blocks.*.lnout.weight", (1,)), ("blocks.*.lnout.bias", (1,))]
UNUSED_ATTENDING = [("blocks.*.attn.qkvs", (1, 3, 1)), ("blocks.*.attn.r_gate", (1, 1, 1))]
UNUSED_NOT_ATTENDING = [
    ("blocks.*.lnmid.weight", (1,)),
    ("blocks.*.lnmid.bias", (1,)),
    ("blocks.*.lnmem.weight", (1,)),
    ("blocks.*.lnmem.bias", (1,)),
]

ENCODER: list[Row] = [("encoder.weight", ("encoder.weight",), SAME)]
DECODER_WEIGHT: list[Row] = [("decoder.weight", ("decoder.weight",), SAME)]
DECODER_BIAS: list[Row] = [("decoder.bias", ("decoder.bias",), SAME)]


def rows(config: Config) -> list[Row]:
    """The whole table of used parameters for a SHA-RNN of `config`, in the order of the forward pass."""
    attending = ATTENDING_BLOCK + ([] if config.collapsed_values else OVERPARAM)
    table = list(ENCODER)
    for i in range(config.layers):
        table += block_rows(EVERY_BLOCK + (attending if config.attends(i) else []), i, i)
    return table + ([] if config.tied else DECODER_WEIGHT) + (DECODER_BIAS if config.decoder_bias else [])


def unused_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that Smerity's model of `config` holds and never computes with."""
    shapes = {}
    for i in range(config.layers):
        for name, shape in UNUSED_EVERYWHERE + (UNUSED_ATTENDING if config.attends(i) else UNUSED_NOT_ATTENDING):
            shapes[name.replace("*", str(i))] = (*shape[:-1], config.emb)
    return shapes


def from_smerity(state_dict: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """A state_dict for `SHARNN(config)` from Smerity's, bit for bit.

    The tensors that Smerity's program holds and never uses are checked and left behind. After `vq_collapse` give a
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
