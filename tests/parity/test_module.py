"""Any torch module: recorded, compared with its recording and with others, with state, gradients and diagnosis."""

import copy

import pytest
import torch
from torch import nn

import parity
from parity import RecordingError, UsageError

pytestmark = pytest.mark.slow


class Tagger(nn.Module):
    """Embedding, a recurrence with carried state, a normalisation, scores."""

    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.norm, self.out = nn.Embedding(9, 4), nn.LSTM(4, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, ids, state=None):
        y, state = self.rnn(torch.tanh(self.embed(ids)), state)
        return self.out(self.norm(y)), state


def call(module, inputs, state):
    return module(*inputs, state)


def loss(output):
    return output.square().mean()


OPTIONS = dict(call=call, loss=loss)


@pytest.fixture(scope="module")
def tagger():
    torch.manual_seed(0)
    return Tagger().eval()


@pytest.fixture(scope="module")
def reference(tagger):
    ids = torch.randint(0, 9, (3, 6, 2), generator=torch.Generator().manual_seed(1))
    return parity.capture(tagger, *ids, **OPTIONS)


def test_every_tensor_of_a_module_is_recorded(tagger, reference):
    names = list(reference.tensors)
    for name in (
        "param/rnn.weight_hh_l0", "input/2/0", "eval/1/embed", "eval/1/rnn.in.0", "eval/1/rnn.0", "eval/1/rnn.1.0",
        "eval/2/rnn.in.1.0", "eval/3/norm", "eval/3/out", "eval/3/output", "eval/3/loss", "carry/2/state.1",
        "agrad/1/rnn.0", "grad/3/embed.weight",
    ):  # fmt: skip
        assert name in names
    assert torch.equal(reference.tensor("carry/1/state.0"), reference.tensor("eval/2/rnn.in.1.0"))
    assert names.index("eval/1/embed") < names.index("eval/1/rnn.0") < names.index("eval/1/norm")
    assert "Tagger" in reference.metadata["implementation"]


def test_a_module_agrees_with_its_own_recording_from_memory_and_from_a_file(tagger, reference, tmp_path):
    for recording in (reference, parity.save(reference, tmp_path / "r.safetensors")):
        result = parity.check(tagger, recording, **OPTIONS, time_axis=0)
        assert result
        assert result.compared == len(reference.tensors) - 3
        assert set(result.skipped) == {"input/1/0", "input/2/0", "input/3/0"}
        assert all(c.isolated is not None for c in result.comparisons)
        assert any(c.end_to_end.steps for c in result.comparisons)


def changed(tagger, change):
    subject = copy.deepcopy(tagger)
    with torch.no_grad():
        change(subject)
    return subject


def swap_gates(t):
    for p in t.rnn.parameters():
        i, f, g, o = p.chunk(4)
        p.copy_(torch.cat([i, o, f, g]))


def other_eps(t):
    t.norm.eps = 1e-2


def drop_bias(t):
    t.out.bias.zero_()


def shift_rows(t):
    t.embed.weight.copy_(t.embed.weight.roll(1, 0))


class Sigmoid(nn.LSTM):
    """An LSTM whose output is wrong, though its parameters are right."""

    def forward(self, x, state=None):
        y, state = super().forward(x.flip(0), state)
        return y.flip(0), state


def backwards(t):
    own = t.rnn
    t.rnn = Sigmoid(4, 8)
    t.rnn.load_state_dict(own.state_dict())


@pytest.mark.parametrize(
    ("change", "first", "description"),
    [
        (other_eps, "eval/1/norm", "eps"),
        (swap_gates, "param/rnn.weight_ih_l0", ""),
        (drop_bias, "param/out.bias", ""),
        (shift_rows, "param/embed.weight", ""),
        (backwards, "eval/1/rnn.0", "last step first|time|revers"),
    ],
)
def test_the_first_wrong_layer_is_named_and_what_follows_inherits(tagger, reference, change, first, description):
    result = parity.check(changed(tagger, change), reference, **OPTIONS, time_axis=0)
    assert not result
    assert result.first.name == first
    assert result.inherited
    layers = {c.layer for c in result.wrong}
    assert layers <= {result.first.layer, *(c.layer for c in result.wrong if c.exact), "rnn.1.0", "rnn.1.1"}
    if description:
        assert any(part in result.first.hints[0].description for part in description.split("|")), result.first.hints


def test_parameters_that_differ_unseen_show_in_their_layer(tagger, reference):
    """Against a program that gives no parameters, the LSTM's own output tells how its gates are ordered."""
    tensors = {name: t for name, t in reference.tensors.items() if not name.startswith(("param/", "grad/", "agrad/"))}
    result = parity.check(changed(tagger, swap_gates), parity.recording_of(tensors), **OPTIONS)
    assert result.first.name == "eval/1/rnn.0"
    assert "order" in result.first.hints[0].description


def test_names_of_another_program(tagger, reference):
    theirs = {"norm": "normed", "rnn.0": "hidden", "out.weight": "projection"}
    renamed = {name: t for name, t in reference.tensors.items() if not name.startswith(("grad", "agrad"))}
    for ours, other in theirs.items():
        for prefix in ("param/", "eval/1/", "eval/2/", "eval/3/"):
            if prefix + ours in renamed:
                renamed[prefix + other] = renamed.pop(prefix + ours)
    recording = parity.recording_of(renamed, implementation="another program")
    result = parity.check(tagger, recording, names=theirs, call=call)
    assert result
    assert result.reference == "another program"
    assert {"eval/2/hidden", "eval/3/normed", "param/projection"} <= result.compared_names
    wrong = parity.check(changed(tagger, other_eps), recording, names=theirs, call=call).first
    assert wrong.name == "eval/1/normed"
    assert "eps" in wrong.hints[0].description
    assert parity.check(tagger, recording, call=call).compared < result.compared


def test_what_cannot_be_compared_with_anything(tagger, reference):
    with pytest.raises(UsageError, match="no inputs"):
        parity.capture(tagger)
    with pytest.raises(RecordingError, match="holds no inputs"):
        parity.check(tagger, parity.recording_of({"eval/1/out": torch.ones(2)}))
    nothing = parity.check(tagger, parity.recording_of({"input/1/0": torch.ones(2, 2).long()}), call=call)
    assert not nothing
    assert nothing.verdict == "diverges"
    with pytest.raises(AssertionError):
        parity.assert_parity(tagger, parity.recording_of({"input/1/0": torch.ones(2, 2).long()}), call=call)


def test_a_module_that_stops_says_where(tagger, reference):
    broken = copy.deepcopy(tagger)
    broken.norm = nn.LayerNorm(7)
    result = parity.check(broken, reference, **OPTIONS)
    assert "stopped with RuntimeError" in result.comparisons[-1].end_to_end.problem
    assert not result.comparisons[-1].agrees


def test_assert_parity_returns_the_result_or_raises_the_report(tagger, reference):
    assert parity.assert_parity(tagger, reference, **OPTIONS)
    with pytest.raises(AssertionError) as raised:
        parity.assert_parity(changed(tagger, other_eps), reference, **OPTIONS)
    assert "eval/1/norm" in str(raised.value)
    assert "eps" in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_the_documented_example(worker):
    """A Julia model of the reader's own against a torch module, whose LayerNorm is another."""
    import runpy
    from pathlib import Path

    example = Path(__file__).parents[2] / "docs" / "examples" / "tagger.py"
    user_code = [line for line in example.read_text().splitlines() if line.strip() and not line.startswith('"""')]
    assert len(user_code) < 40
    found = runpy.run_path(str(example))
    result = parity.check(found["port"], found["reference"], names=found["names"], time_axis=0)
    assert result.first.name == "eval/1/normed"
    assert "n - 1" in result.first.hints[0].description
    assert {c.name for c in result.comparisons if c.agrees} == {"eval/1/hidden"}
