"""A model's identity: the same wherever its numbers are, and another for any other number or config."""

import copy
import dataclasses
import hashlib
import json

import numpy as np
import torch

from sharnn_py import SHARNN, Vocabulary
from sharnn_py.identity import identity


def of(model):
    return identity(model.config, model.state_dict())


def test_it_is_the_hash_that_the_docstring_describes(model):
    def line(values):
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    data = line(model.config.to_json())
    for name, tensor in sorted(model.state_dict().items()):
        data += line([name, "float32", list(tensor.shape)]) + tensor.numpy().astype("<f4").tobytes()
    assert of(model) == hashlib.sha256(data).hexdigest()


def test_widening_keeps_it_and_any_other_number_does_not(model):
    assert of(copy.deepcopy(model).double()) == of(model)
    wide = copy.deepcopy(model).double()
    with torch.no_grad():
        next(wide.parameters()).view(-1)[0] += 1e-12
    other = copy.deepcopy(model)
    with torch.no_grad():
        bits = next(other.parameters()).numpy().reshape(-1)
        bits[0] = np.nextafter(bits[0], np.float32(9))
    assert len({of(model), of(wide), of(other), of(copy.deepcopy(model).half())}) == 4


def test_another_config_is_another_model(model):
    other = SHARNN(dataclasses.replace(model.config, max_memory=model.config.max_memory + 1))
    other.load_state_dict(model.state_dict())
    assert of(other) != of(model)


def test_vocabularies_in_another_order_are_others():
    tokens = ["<s>", "<unk>", "a", "b"]
    assert Vocabulary(tokens).identity == hashlib.sha256(b'["<s>","<unk>","a","b"]\n').hexdigest()
    assert Vocabulary([*tokens[:2], "b", "a"]).identity != Vocabulary(tokens).identity
