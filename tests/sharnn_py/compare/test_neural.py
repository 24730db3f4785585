"""Trained contenders: what a byte costs them, before and after they learnt from it."""

import dataclasses
import math
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sharnn_py.cli import sharnn
from sharnn_py.compare import neural
from sharnn_py.compare.contender import Failed
from sharnn_py.compare.dynamic import DynamicContender, DynamicReader
from sharnn_py.compare.neural import BASE, EVERY_BYTE, NeuralContender, NeuralReader, lstm, sha_rnn, width
from sharnn_py.compare.search import TRIALS, search
from sharnn_py.compare.split import SHORTEST, split
from sharnn_py.text import encode
from sharnn_py.trainer.settings import Settings
from sharnn_py.trainer.watch import TrainingError
from tests.sharnn_py.compare.text import text

SMALL = Settings(emb=8, hidden=16, layers=2, max_memory=9000, batch=4, bptt=32)
"""Its memory holds all that is read here, so that costs do not depend on how segments are cut."""
BEFORE, FOLLOWING = text(600), text(500, seed=2)
ROUNDING = 1e-4
"""Bits; float32 logits of a few units, summed in another order, differ by about 1e-6."""
SECONDS = 0.3 / 60


@pytest.fixture(autouse=True)
def one_thread():
    """On a busy machine, threads that wait for one another take a hundred times as long for tensors this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["sharnn", "baseline"])
def model(request):
    return dataclasses.replace(SMALL, model=request.param).new_model(len(EVERY_BYTE))


def test_a_byte_costs_what_the_model_says_after_all_before_it(model):
    ids = torch.from_numpy(encode(EVERY_BYTE, BEFORE + FOLLOWING))[:, None]
    with torch.no_grad():
        logits, _ = model.eval()(ids[:-1])
    wanted = torch.nn.functional.cross_entropy(logits[:, 0], ids[1:, 0], reduction="none")[len(BEFORE) - 1 :]
    costs = NeuralReader(model, BEFORE, 0).read(FOLLOWING)
    assert costs == pytest.approx(wanted.numpy() / math.log(2), abs=ROUNDING)


def test_pieces_cost_what_the_whole_does(model):
    whole, pieces = NeuralReader(model, BEFORE, 0), NeuralReader(model, BEFORE, 0)
    costs = [pieces.read(piece) for piece in (FOLLOWING[:200], b"", FOLLOWING[200:])]
    assert np.concatenate(costs) == pytest.approx(whole.read(FOLLOWING), abs=ROUNDING)


def test_without_steps_dynamic_evaluation_is_reading(model):
    reader = NeuralReader(model, BEFORE, 0)
    assert DynamicReader(reader, 0.0, 0.0).read(FOLLOWING) == pytest.approx(reader.read(FOLLOWING), abs=ROUNDING)


def test_dynamic_evaluation_learns_from_what_was_read_and_leaves_the_model_as_it_is(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    reader = NeuralReader(model, BEFORE, 0)
    dynamic = DynamicReader(reader, 1e-2, 0.0)
    costs = dynamic.read(FOLLOWING * 3)
    assert costs[:63] == pytest.approx(reader.read(FOLLOWING * 3)[:63], abs=ROUNDING)  # nothing is learnt yet
    assert costs[-300:].mean() < costs[:300].mean() - 0.5
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_decay_draws_the_weights_back_to_those_trained(model):
    reader = NeuralReader(model, BEFORE, 0)

    def distance(decay):
        dynamic = DynamicReader(reader, 1e-3, decay)
        dynamic.read(FOLLOWING)
        return sum(
            float((now - then).detach().norm())
            for now, then in zip(dynamic._model.parameters(), model.parameters(), strict=True)
        )

    assert 0 < distance(0.5) < distance(0.0)


@pytest.mark.parametrize("rate", [0.0, 2e-3])
def test_a_byte_costs_what_it_does_whatever_follows_it(model, rate):
    reader = NeuralReader(model, BEFORE, 0)
    costs = [DynamicReader(reader, rate, 1e-3).read(FOLLOWING[:200] + end)[:200] for end in (b"", b"?" * 90)]
    # The last segment is longer in one of them, and its sums are rounded elsewhere.
    assert costs[0] == pytest.approx(costs[1], abs=ROUNDING)


def test_training_sees_nothing_of_what_follows_and_all_bytes_can_be_read():
    contender = NeuralContender("small", SMALL, [{"rate": 1e-2}], "float32")
    reader = contender.fit(BEFORE * 4, SECONDS, {"rate": 1e-2})
    assert reader.bytes_seen > 0
    costs = reader.read(bytes(range(256)))
    assert costs.shape == (256,)
    assert np.isfinite(costs).all()


@pytest.mark.slow
def test_training_learns_until_its_time_is_over():
    began = time.monotonic()
    reader = NeuralContender("small", SMALL, [{}], "float32").fit(text(4000), 2 / 60, {"rate": 2e-2, "warmup": 0})
    assert time.monotonic() - began < 20
    assert reader.read(FOLLOWING).mean() < 6  # an untrained model needs 8


def test_a_setting_that_diverges_is_passed_over(monkeypatch):
    class Diverging(NeuralContender):
        def fit(self, text, minutes, settings):
            if settings["rate"] == 2:
                raise MemoryError
            if settings["rate"] > 1e-3:
                raise Failed("too fast")
            return super().fit(text, minutes, settings)

    contender = Diverging("small", SMALL, [{"rate": rate} for rate in (1e-3, 1, 2, 3, 4, 5)], "float32")
    trials = search(contender, split(text(SHORTEST)), SECONDS, print)
    assert trials[0].settings == {"rate": 1e-3}
    assert sorted(trial.failed for trial in trials) == ["", "it needs more memory than there is", *["too fast"] * 4]
    contender.settings = tuple({"rate": rate} for rate in range(3, TRIALS + 3))
    with pytest.raises(Failed, match="small has learnt nothing with any of its 6 settings: too fast"):
        search(contender, split(text(SHORTEST)), SECONDS, print)


def test_a_run_that_diverges_says_with_which_settings(monkeypatch):
    def diverge(run):
        raise TrainingError("the loss is nan")

    monkeypatch.setattr(neural.Run, "update", diverge)
    with pytest.raises(Failed, match=r"small with rate 0\.1: the loss is nan"):
        NeuralContender("small", SMALL, [{}], "float32").fit(BEFORE, SECONDS, {"rate": 0.1})


def parameters(settings):
    return sum(parameter.numel() for parameter in settings.new_model(len(EVERY_BYTE)).parameters())


def test_the_lstm_is_as_large_as_sha_rnn():
    target = parameters(dataclasses.replace(BASE, attention="one"))
    for settings in lstm("float32").settings:
        ours = parameters(dataclasses.replace(BASE, model="baseline", **settings))
        wider = parameters(
            dataclasses.replace(BASE, model="baseline", **{**settings, "hidden": settings["hidden"] + 1})
        )
        assert abs(ours - target) <= (wider - ours) / 2
        assert settings["hidden"] == width(target, settings["layers"])


def test_attention_is_in_no_block_in_one_or_in_all():
    models = [sha_rnn("", attention, "float32")._fixed.new_model(257) for attention in ("none", "one", "all")]
    attending = [model.config.attention_layers for model in models]
    assert attending == [(), (1,), (0, 1, 2)]


def test_dynamic_evaluation_is_tuned_with_as_many_settings():
    assert len({tuple(settings.items()) for settings in DynamicContender.settings}) == TRIALS


@pytest.mark.slow
def test_the_command_compares_what_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(neural, "BASE", SMALL)
    file = tmp_path / "text"
    file.write_bytes(text(SHORTEST))
    words = ["compare", str(file), "--minutes", "0.01", "--only", "ppmd", "--only", "lstm", "--only", "sha-rnn-none"]
    done = CliRunner().invoke(sharnn, words)
    assert done.exit_code == 0, done.output
    rows = [line.split("  ")[0] for line in done.stdout.splitlines()[1:]]
    trained = next(name for name in ("lstm", "sha-rnn-none") if f"ppmd + {name}" in rows)
    assert done.stderr.count("fastest here") == 2
    assert {"ppmd", "lstm", "sha-rnn-none", f"{trained} dynamic", f"ppmd + {trained} dynamic"} <= set(rows)
