"""Updates, and going on from where a run was kept, to the bit."""

import pytest
import torch

import sharnn_py.trainer.run
from sharnn_py import CheckpointError, InputError, julia_lamb, lay_out, paper_lamb, segments, train
from sharnn_py.fast import plain
from sharnn_py.fast.accelerated import FastBlock
from sharnn_py.trainer.corpus import read_corpus
from sharnn_py.trainer.saved import read_run, write_run
from sharnn_py.trainer.speed import set_out
from sharnn_py.trainer.watch import TrainingError

KINDS = {
    "paper": dict(precision="float32"),
    "julia": dict(precision="float32", semantics="julia"),
    "adamw": dict(precision="float32", optimiser="adamw", clip=1.0, weight_decay=0.1),
    "across epochs": dict(bptt=120, precision="float32"),  # 13 segments each
    "bf16": dict(precision="bf16"),
    "baseline": dict(model="baseline", dropout_output=0.1),
    "dropout": dict(
        precision="float32", dropout_embedding=0.1, dropout_hidden=0.2, dropout_output=0.1, attention="all"
    ),
    "accumulated": dict(precision="float32", accumulate=3, random_lengths=False),
    "recomputed": dict(precision="float32", recompute=True, dropout_hidden=0.2),
}


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        *((kind, 4) for kind in KINDS),
        ("across epochs", 20),  # the second epoch
        pytest.param("paper", 60, marks=pytest.mark.slow),  # the watch begins to judge after 50
    ],
)
def test_a_run_that_was_kept_goes_on_to_the_bit(new_run, tmp_path, kind, before):
    run = new_run(**KINDS[kind])
    assert set_out(run, 1, None) is None or run.settings.precision == "auto"
    for _ in range(before):
        run.update()
    write_run(tmp_path, *run.contents())
    ahead = [run.update() for _ in range(12)]
    torch.manual_seed(12345)  # whatever happened in between
    other = new_run(**KINDS[kind])
    assert other.restore(*read_run(tmp_path)) is None
    set_out(other, None, None)
    assert [other.update() for _ in range(12)] == ahead
    assert (run.counters, run.watch, run.plan) == (other.counters, other.watch, other.plan)
    ours, theirs = run.contents()[0], other.contents()[0]
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("program", ["paper", "julia"])
def test_updates_are_those_of_train(new_run, program):
    run = new_run(semantics=program, random_lengths=False, warmup=0, schedule="constant", accumulate=2)
    plain(run.model)  # whose rounding is that of `train`
    model = run.settings.new_model(len(run.corpus.vocabulary))
    # `train` goes through the text once, and a last update takes what is left.
    optimiser = {"paper": paper_lamb, "julia": julia_lamb}[program](model, lr=run.settings.rate)
    data = lay_out(run.corpus.train.tolist(), 4)[: 2 * 7 * 20 + 1]
    losses = [r.loss for r in train(model, segments(data, 7), optimiser, accumulate=2, report_every=1).reports]
    ours = [run.update().nats for _ in range(20)]
    assert ours == pytest.approx(losses, rel=1e-6)  # a mean in float32 against one in float64
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, run.model.get_parameter(name)), name


def test_only_a_new_epoch_begins_new_sequences(new_run):
    run = new_run(random_lengths=False, bptt=100)
    given = []
    wrapped = run._wrapped

    def watched(tokens, state):
        given.append(None if state is None else float(state.layers[0].h.abs().sum()))
        return wrapped(tokens, state)

    run._wrapped = watched
    for _ in range(32):  # an epoch is 1,469 steps, and so 15 segments
        run.update()
    assert [n for n, state in enumerate(given) if state is None] == [0, 15, 30]
    assert all(state > 0 for state in given if state is not None)


def test_recomputing_blocks_changes_no_bit(new_run):
    plain, again = new_run(dropout_hidden=0.2), new_run(dropout_hidden=0.2, recompute=True)
    torch.manual_seed(0)
    expected = [plain.update().nats for _ in range(10)]
    torch.manual_seed(0)
    assert [again.update().nats for _ in range(10)] == expected


@pytest.mark.slow
def test_training_learns(new_run):
    run = new_run()
    losses = [run.update().nats for _ in range(200)]
    assert losses[-1] < losses[0] - 0.3


def test_a_run_goes_on_with_its_own_text_only(new_run, text, tmp_path):
    run = new_run()
    run.update()
    tensors, facts = run.contents()
    (tmp_path / "other.txt").write_bytes(text.read_bytes()[::-1])
    run.corpus = read_corpus(tmp_path / "other.txt")
    with pytest.raises(InputError, match="the text is not the one that the run was begun with"):
        run.restore(tensors, facts)


def test_a_damaged_run_is_refused(new_run, tmp_path):
    run = new_run()
    run.update()
    tensors, facts = run.contents()
    with pytest.raises(CheckpointError, match="the saved run is damaged"):
        new_run().restore({name: t for name, t in tensors.items() if name != "model.encoder.weight"}, facts)
    write_run(tmp_path, tensors, facts)
    path = tmp_path / "training" / "run.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is not a training run that can be read"):
        read_run(tmp_path)


def test_a_run_whose_parameters_are_not_finite_is_not_kept(new_run):
    run = new_run()
    with torch.no_grad():
        run.model.encoder.weight[0, 0] = torch.nan
    with pytest.raises(TrainingError, match=r"encoder.weight and 0 other parameters hold numbers that are not finite"):
        run.contents()


def test_a_loss_that_is_not_finite_leaves_the_parameters_as_they_were(new_run):
    run = new_run()
    run.update()
    with torch.no_grad():
        run.model.decoder.bias[3] = torch.inf
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    with pytest.raises(TrainingError, match="the loss of update 2 is nan"):
        run.update()
    assert all(torch.equal(tensor, run.model.state_dict()[name]) for name, tensor in before.items())


def test_the_fastest_way_is_measured_said_and_kept(new_run, tmp_path):
    run = new_run()
    sentence = set_out(run, None, 60.0)
    assert sentence.startswith(f"fastest here, forward and backward: {run.precision} on {run.threads} thread")
    run.update()
    write_run(tmp_path, *run.contents())
    other = new_run()
    other.restore(*read_run(tmp_path))
    assert set_out(other, None, 60.0) is None
    assert (other.precision, other.threads) == (run.precision, run.threads)
    assert isinstance(run.model.blocks[0], FastBlock)


def test_bf16_on_an_accelerator_is_autocast_and_carries_float32(new_run, monkeypatch):
    """The CPU stands in for the accelerator."""
    monkeypatch.setattr(
        sharnn_py.trainer.run, "autocast", lambda device, precision: torch.autocast("cpu", torch.bfloat16)
    )
    run = new_run()
    plain(run.model)
    losses = [run.update().nats for _ in range(100)]
    assert {t.dtype for layer in run.carried.layers for t in layer.tensors()} == {torch.float32}
    assert losses[-1] < losses[0] - 0.1
    exact = new_run()
    assert losses[:3] == pytest.approx([exact.update().nats for _ in range(3)], rel=2e-2)  # 8 bits of a product
