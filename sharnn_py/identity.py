"""Which model it is: a SHA-256 digest that checkpoints, exports and saved states have in common.

A model's identity is that of its config and its numbers, whatever holds them. A checkpoint and the exports made from
it, in every precision, have one identity; a model whose parameters are widened from float32 to float64 keeps it, and
one that is rounded to float16, or trained further, is another model.
"""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import torch

from sharnn_py.config import Config


def identity(config: Config, parameters: Mapping[str, torch.Tensor]) -> str:
    """The identity of a model of `config` with `parameters`, those of its state_dict: 64 hexadecimal digits.

    It is the SHA-256 of these bytes. First, in UTF-8 and ended by a line feed, the config as JSON with sorted keys and
    without spaces. Then, for every parameter in the order of their names, its name, type and shape as a JSON list
    written the same way, a line feed, and its numbers in row-major order, little endian: as float32 if all of them are
    float32 numbers, else as float64.
    """
    digest = hashlib.sha256(_line(config.to_json()))
    for name in sorted(parameters):
        numbers = _numbers(parameters[name])
        digest.update(_line([name, str(numbers.dtype), list(numbers.shape)]))
        digest.update(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()


def _numbers(parameter: torch.Tensor) -> np.ndarray:
    wide = parameter.detach().cpu()
    narrow = wide.float()
    if wide.dtype == torch.float64 and not torch.equal(narrow.double(), wide):
        return wide.contiguous().numpy()
    return narrow.contiguous().numpy()


def _line(values: object) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
