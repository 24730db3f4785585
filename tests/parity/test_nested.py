"""Tensors inside values of any type: outputs of other libraries' models, caches that grow, what torch.compile makes."""

import copy
import dataclasses
import warnings
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn

import parity
from parity import UsageError, measure_rounded
from parity.arithmetic.widened import Widened
from parity.module.nested import mapped, passed_on
from parity.tolerance import UNIT

Pair = namedtuple("Pair", "hidden gate")


class Output(OrderedDict):
    """As Hugging Face's: its entries are attributes and, by number, values in order, and it is not a plain dict."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        super().__setattr__(key, value)

    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


@dataclasses.dataclass(frozen=True)
class Scores:
    logits: torch.Tensor
    weights: tuple = ()


class Layer:
    """One layer of a cache, empty until it is first written to."""

    def __init__(self):
        self.keys = None

    def update(self, keys):
        self.keys = keys if self.keys is None else torch.cat([self.keys, keys], dim=1)
        return self.keys


class Cache:
    """As a DynamicCache: an object that every layer is given, and writes to."""

    def __init__(self, layers):
        self.layers = [Layer() for _ in range(layers)]
        self.owner = self


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.key, self.out = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x, number, cache=None, seen=None):
        keys = cache.layers[number].update(self.key(x))  # (B, T, H)
        weights = torch.softmax(x @ keys.transpose(1, 2), -1)
        seen[f"weights{number}"] = weights
        return Output(hidden=x + self.out(weights @ keys), extras=[Pair(weights, {"scale": weights.sum()})])


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.blocks, self.head = nn.Embedding(7, 4), nn.ModuleList([Block(), Block()]), nn.Linear(4, 3)

    def forward(self, ids, mask=None, cache=None):
        cache, seen = Cache(2) if cache is None else cache, {}
        x = self.embed(ids)
        for number, block in enumerate(self.blocks):
            found = block(x, number, cache=cache, seen=seen)
            x = found.hidden
        assert set(seen) == {"weights0", "weights1"}  # what a block writes to its caller's dict arrives
        assert found[1][0].hidden is not None
        x = x if mask is None else x * mask[..., None]
        return Scores(self.head(x), tuple(seen.values())), cache


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return Decoder().eval()


@pytest.fixture
def ids():
    return torch.randint(0, 7, (3, 2, 5), generator=torch.Generator().manual_seed(1))


def call(module, inputs, state):
    return module(*inputs, cache=state)


def other_head(module):
    with torch.no_grad():
        module.blocks[1].out.bias.add_(0.1)


def test_outputs_of_every_type_and_a_cache_that_grows(decoder, ids):
    reference = parity.capture(decoder, *ids, call=call, loss=lambda out: out.logits.square().mean())
    names = {
        "eval/1/blocks.0.hidden", "eval/1/blocks.1.extras.0", "eval/1/blocks.1.extras.1.scale", "eval/2/output.logits",
        "eval/3/output.weights.1", "carry/2/state.layers.0.keys", "carry/3/state.layers.1.keys", "agrad/1/head",
    }  # fmt: skip
    assert names <= set(reference.tensors)
    assert [reference.tensor(f"carry/{n}/state.layers.1.keys").shape[1] for n in (1, 2, 3)] == [5, 10, 15]
    result = parity.check(decoder, reference, call=call, loss=lambda out: out.logits.square().mean())
    assert result, parity.text(result)
    assert result.compared == len(reference.tensors) - 3


def test_a_wrong_layer_between_them_is_the_first(decoder, ids):
    reference = parity.capture(decoder, *ids, call=call)
    changed = copy.deepcopy(decoder)
    other_head(changed)
    result = parity.check(changed, reference, call=call)
    assert [c.name for c in result.wrong] == ["param/blocks.1.out.bias"]
    assert {c.layer for c in result.inherited} >= {"blocks.1.out", "blocks.1.hidden", "output.logits"}


def test_inputs_by_name(decoder, ids, tmp_path):
    def by_name(module, inputs, state):
        return module(**inputs, cache=state)

    mask = torch.ones(2, 5)
    reference = parity.capture(
        decoder, {"mask": mask, "ids": ids[0]}, call=by_name, path=tmp_path / "reference.safetensors"
    )
    assert {"input/1/mask", "input/1/ids"} <= set(reference.tensors)
    assert parity.check(decoder, reference, call=by_name)


def test_what_is_passed_on_stays_the_object_it_is_and_a_copy_shares_nothing():
    written_to, output = {"a": torch.ones(1)}, Output(a=torch.ones(1), b=None)
    value = (written_to, [Pair(torch.ones(2), 1)], output, torch.Size([2]))
    names = []
    assert passed_on(value, "x", lambda name, tensor: names.append(name) or tensor) is value
    assert names == ["x.0.a", "x.1.0", "x.2.a"]
    changed = passed_on(value, "x", lambda _, tensor: tensor + 1)
    assert changed[0] is written_to
    assert float(written_to["a"]) == 2
    assert type(changed[2]) is Output
    assert float(changed[2].a) == 2
    cache = Cache(2)
    cache.layers[0].update(torch.ones(1, 2, 3))
    other = mapped(cache, "state", lambda _, tensor: tensor + 1)
    assert other.owner is other
    other.layers[0].update(torch.ones(1, 1, 3))
    other.layers[1].update(torch.ones(1, 1, 3))
    assert cache.layers[0].keys.shape == (1, 2, 3)
    assert cache.layers[1].keys is None


def test_of_a_compiled_module_the_original_runs(decoder, ids):
    reference = parity.capture(decoder, ids[0], call=call)
    whole, parts = torch.compile(copy.deepcopy(decoder), backend="eager"), copy.deepcopy(decoder)
    parts.blocks[0] = torch.compile(parts.blocks[0], backend="eager")
    parts.head.compile(backend="eager")
    for compiled in (whole, parts):
        assert list(parity.capture(compiled, ids[0], call=call).tensors) == list(reference.tensors)
        result = parity.check(compiled, reference, call=call)
        assert result
        assert result.compared == len(reference.tensors) - 1


class Norm(nn.Module):
    """Of root mean squares, computed in float32 whatever the rest is in, as in most language models."""

    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        y = x.float()
        return self.weight * (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.norm, self.down = nn.Linear(16, 64), Norm(64), nn.Linear(64, 8)

    def forward(self, x):
        return torch.softmax(self.down(self.norm(torch.nn.functional.gelu(self.up(x)))).float(), -1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_recording_in_half_precision_is_held_to_half_precision(dtype):
    torch.manual_seed(0)
    module = Mixed().to(dtype).eval()
    reference = parity.capture(module, torch.randn(32, 16).to(dtype))
    assert reference.format == dtype
    result = parity.check(module, reference)
    assert result, parity.text(result)
    worst = max(c.end_to_end.tolerance / c.end_to_end.scale for c in result.comparisons if not c.exact)
    assert UNIT[dtype] < worst < 64 * UNIT[dtype]
    single = copy.deepcopy(module).float()  # the same numbers, computed in float32
    assert parity.check(single, reference)
    with torch.no_grad():
        single.norm.weight.mul_(1 + 64 * UNIT[dtype])
    wrong = parity.check(single, reference)
    assert {c.name for c in wrong.wrong} == {"param/norm.weight"}
    assert "eval/1/norm" in {c.name for c in wrong.inherited}


def test_arrays_of_numpys_are_copied_without_a_word():
    fixed = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    fixed.flags.writeable = False
    arrays = {
        "input/1/0": fixed,
        "eval/1/a": fixed[:, ::-1],
        "eval/1/b": fixed.astype(">f4"),
        "eval/1/c": np.float32(2),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = parity.recording_of(arrays).tensors
    for name, array in arrays.items():
        assert np.array_equal(found[name].numpy(), array)
    found["input/1/0"].zero_()
    assert fixed.any()


def test_bfloat16_of_numpys_is_torchs():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes, which gives NumPy its bfloat16, is not installed")
    array = np.array([1.0, -2.5, 3e38], dtype=ml_dtypes.bfloat16)
    found = parity.recording_of({"eval/1/a": array}).tensors["eval/1/a"]
    assert found.dtype == torch.bfloat16
    assert found.tolist() == array.astype(np.float32).tolist()


def test_what_is_no_array_is_refused():
    with pytest.raises(UsageError, match=r"eval/1/a is a builtins\.str: give a tensor, or an array of numbers"):
        parity.recording_of({"eval/1/a": "b"})
    with pytest.raises(UsageError, match="eval/1/a"):
        parity.recording_of({"eval/1/a": np.array(["b"])})


def test_what_is_asked_for_in_float32_is_computed_in_float64():
    x = torch.randn(3, 4, dtype=torch.float64)
    with Widened():
        found = [x.float(), x.to(torch.float32), torch.softmax(x, -1, dtype=torch.float32), x.half()]
    assert [y.dtype for y in found] == [torch.float64] * 3 + [torch.float16]
    assert torch.equal(found[0], x)


def test_a_mask_of_the_lowest_numbers_is_one_of_infinities():
    low = {dtype: torch.finfo(dtype).min for dtype in (torch.float32, torch.float64)}
    recorded, truth = (torch.tensor([0.5, low[dtype]], dtype=dtype) for dtype in low)
    assert measure_rounded(recorded, truth, [truth], recorded).agrees
    assert not measure_rounded(recorded.flip(0), truth, [truth], recorded).agrees


class Limited(nn.Module):
    """As Hugging Face's T5, which limits its numbers in float16 alone, so that a tensor of its own comes between."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = self.first(x)
        return self.second(h.clamp(-6e4, 6e4) if h.dtype == torch.float16 else h)


def test_what_a_module_does_in_half_precision_alone_is_left_out():
    torch.manual_seed(0)
    module, x = Limited().half(), torch.ones(3, 4).half()
    recording = parity.capture(module, x)
    assert "eval/1/second.in" in recording.tensors
    result = parity.check(module, recording)
    assert result, parity.text(result)
    assert set(result.skipped) == {"input/1/0", "eval/1/second.in"}
    with torch.no_grad():
        module.second.weight[0] += 1
    assert parity.check(module, recording).first.name == "param/second.weight"


def test_what_a_module_does_in_float32_alone_is_an_error():
    class Other(Limited):
        def forward(self, x):
            h = self.first(x)
            return self.second(h.clamp(-6e4, 6e4) if h.dtype == torch.float32 else h)

    torch.manual_seed(0)
    module = Other()
    result = parity.check(module, parity.capture(module, torch.ones(3, 4)))
    assert not result
    assert "one run computes eval/1/second.in where another" in result.comparisons[-1].end_to_end.problem
