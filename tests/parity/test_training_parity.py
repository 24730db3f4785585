"""Training beside Julia: a sound port stays with it, and a planted fault is named with the update that has it first."""

import json
import math
from dataclasses import replace

import pytest
import torch
from junitparser import JUnitXml

from parity.sharnn.faults.plant import Edit, planted
from parity.sharnn.training import case as cases
from parity.sharnn.training import files, page, run, terminal, words
from parity.sharnn.training.case import new_case
from parity.sharnn.training.compare import FACTOR, compare
from parity.sharnn.training.julia import julia_steps
from parity.sharnn.training.results import RecordedUpdates, TrainingParity
from tests.forked import sharnn
from tests.parity.test_report_page import Page

UPDATES, WARMUP = 5, 3
SMALL = dict(emb=8, hidden=16, layers=2, heads=2, max_memory=10, batch=3, bptt=8)


@pytest.fixture(scope="module")
def trained(worker):
    """For each program's optimiser a short case, and Julia's float64 updates of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases, "SIZES", SMALL)
        made = {program: new_case(program, UPDATES, 0, None, worker) for program in ("julia", "paper")}
    made = {program: replace(c, settings=replace(c.settings, warmup=WARMUP)) for program, c in made.items()}
    return {program: (case, list(julia_steps(case, torch.float64, worker))) for program, case in made.items()}


def compared(trained, program, *changes, **options):
    case, julia = trained[program]
    with planted(*changes):
        return compare(case, julia, torch.float64, **options)


@pytest.mark.parametrize("program", ["julia", "paper"])
def test_a_sound_port_stays_with_julia(trained, program):
    found = compared(trained, program)
    assert found, words.why(found)
    assert [m.number for m in found.updates] == list(range(1, UPDATES + 1))
    assert all(m.distance < 1e-12 < 1e-3 < m.moved for m in found.updates)
    assert all(m.allowed == FACTOR * m.spread for m in found.updates)


def in_lamb(old, new):
    return Edit("sharnn_py.lamb:MinTrustLAMB._update", old, new)


def in_rate(old, new):
    return Edit("sharnn_py.trainer.optimiser:rate_of", old, new)


def in_update(old, new):
    return Edit("sharnn_py.trainer.run:Run.update", old, new)


FAULTS = {
    "eps": ("julia", in_lamb('group["eps"]', '1.01 * group["eps"]'), 1, "furthest out"),
    "no least trust": ("paper", in_lamb('trust.clamp(min=group["min_trust"])', "trust"), 1, "furthest out"),
    "bias correction": ("paper", in_lamb("step = m /", "step = m / (1 - beta1 ** group['step']) /"), 1, "furthest out"),
    "second moment": ("julia", in_lamb("value=1 - beta2", "value=1.001 * (1 - beta2)"), 1, "furthest out"),
    "clip": ("paper", Edit("sharnn_py.trainer.optimiser:new_optimiser", "clip=settings.clip", "clip=0.26"), 1, "furth"),
    "clip of each": ("julia", Edit("sharnn_py.lamb:julia_lamb", "else 0.25", "else 0.26"), 1, "furthest out"),
    "decay": ("julia", Edit("sharnn_py.lamb:julia_lamb", "else 0.0", "else 1.2e-6"), 1, "furthest out"),
    "warm-up late": ("paper", in_rate("rise = min(update, ", "rise = min(update - 1, "), 1, "moved 0 times as far"),
    "warm-up short": (
        "paper",
        in_rate("min(update, settings.warmup)", "min(update, 2)"),
        3,
        "moved 0.666667 times as far",
    ),
    "schedule": ("julia", in_rate('"constant": 1.0', '"constant": 1 - share'), 2, "times as far as in Julia"),
    "state": ("paper", in_update("None if new else self.carried", "None"), 2, "or the state that is carried into it"),
    "averaged": ("julia", in_update("loss.backward()", "(loss / settings.accumulate).backward()"), 1, "furthest out"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_with_the_first_update_that_has_it(trained, fault):
    program, change, first, said = FAULTS[fault]
    found = compared(trained, program, change)
    assert not found
    assert found.first.measured.number == first
    assert said in words.why(found)
    assert len(found.updates) == UPDATES


def test_the_loss_tells_a_fault_of_the_update_from_one_before_it(trained):
    _, change, *_ = FAULTS["eps"]
    assert "the loss before it agrees" in words.why(compared(trained, "julia", change))
    state = compared(trained, "paper", FAULTS["state"][1])
    assert "the loss of update 2 is" in words.why(state)


def test_all_parameters_that_moved_too_far_by_one_factor_are_one_cause(trained):
    said = words.why(compared(trained, "paper", FAULTS["warm-up short"][1]))
    assert "parameters that left their bands moved 0.666667 times as far as in Julia, as if at another rate" in said


def test_nan_on_either_side_agrees_with_nothing(trained):
    case, julia = trained["paper"]
    in_port = compared(trained, "paper", in_update("loss = nll(logits", "loss = float('nan') * nll(logits"))
    assert not in_port
    assert "the loss of update 1 is nan" in words.why(in_port)
    broken = [*julia[:2], replace(julia[2], loss=math.nan), *julia[3:]]
    in_julia = compare(case, broken, torch.float64)
    assert in_julia.first.measured.number == 3
    qs = "blocks.0.attn.qs"
    parameters = {**julia[4].parameters, qs: torch.full_like(julia[4].parameters[qs], math.nan)}
    broken = [*julia[:4], replace(julia[4], parameters=parameters)]
    found = compare(case, broken, torch.float64)
    assert found.first.measured.number == 5
    assert [p.name for p in found.first.off] == [qs]
    json.dumps(files.to_json(result(found)), allow_nan=False)


def test_a_port_of_less_precision_does_not_buy_its_band(trained, worker):
    """In float32 its runs may part as far as its float64 runs say that rounding explains."""
    case, _ = trained["paper"]
    exact, julia = compared(trained, "paper"), list(julia_steps(case, torch.float32, worker))
    assert compare(case, julia, torch.float32, exact)
    narrow = in_update(
        "loss.backward()", "loss.backward(); [p.grad.copy_(p.grad.bfloat16()) for p in self.model.parameters()]"
    )
    with planted(narrow):
        found = compare(case, julia, torch.float32, exact)
    assert not found


def result(*trajectories, recorded=()):
    return TrainingParity(list(recorded), list(trajectories), {"text": "a <text>"}, 1.0)


def test_every_report_shows_both_losses_and_the_first_update(trained, tmp_path, capsys):
    good, bad = compared(trained, "julia"), compared(trained, "paper", FAULTS["warm-up short"][1])
    proof = RecordedUpdates("smerity/L4", "paper", 5, 315, 0.5, "")
    whole = result(good, bad, recorded=[proof])
    assert whole.exit_code == 1
    terminal.show(whole)
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].startswith("Smerity's MinTrustLAMB, float64: the parameters after update 3 are")
    assert "Julia's MinTrustLAMB gives 5 recorded updates of 1 recording again: 315 tensors" in shown
    assert f"{good.updates[0].julia_loss:.9g}" in shown

    content = json.loads(json.dumps(files.to_json(whole), allow_nan=False))
    one, other = content["trainings"]
    assert (one["agrees"], one["first"]) == (True, None)
    assert (other["agrees"], other["first"]["update"]) == (False, 3)
    assert [u["port_loss"] for u in one["updates"]] == [m.port_loss for m in good.updates]

    html = page.render(whole)
    read = Page(html)
    assert "a <text>" in read.words
    assert read.words.count("Loss of each update") == 2
    lines = [attributes["class"] for tag, attributes in read.elements if tag in ("polyline", "polygon", "line")]
    for name in ("julia", "port", "band", "spread", "apart"):
        assert lines.count(name) == 2, name
    assert lines.count("mark") == 2  # of the one that parts, in both pictures
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")

    files.write_junit(whole, tmp_path / "junit.xml")
    optimisers, julia, paper = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (optimisers.tests, julia.failures, paper.failures) == (1, 0, 1)

    agreed = result(good, recorded=[proof])
    assert words.verdict(agreed).startswith("AGREEMENT: 5 updates of the port by SHA-RNN.jl's MinTrustLAMB stay")
    wrong = result(good, recorded=[replace(proof, wrong="train/2/param/decoder.bias")])
    assert words.headline(wrong).startswith("Julia's optimiser is not the one recorded in smerity/L4: train/2/")
    assert not wrong


@pytest.mark.slow
def test_sixty_updates_by_both_optimisers(shared_julia, monkeypatch, tmp_path):
    """As the command runs them, but for the size, and for recordings that other tests hold Julia against."""
    monkeypatch.setattr(run, "recorded_updates", lambda recordings, worker: iter(()))
    monkeypatch.setattr(cases, "SIZES", {**SMALL, "batch": 2, "bptt": 4})
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 400)
    found = run.run(["julia", "paper"], 60, 3, tmp_path / "text.txt", lambda line: None)
    assert found, words.headline(found)
    assert [(t.program, t.precision, len(t.updates)) for t in found.trajectories] == [
        ("julia", "float64", 60),
        ("julia", "float32", 60),
        ("paper", "float64", 60),
        ("paper", "float32", 60),
    ]
    for trajectory in found.trajectories:
        first, last = trajectory.updates[0], trajectory.updates[-1]
        assert last.port_loss < first.port_loss
        assert last.distance < 0.1 * last.moved


def test_the_command(trained, monkeypatch, tmp_path):
    asked = []

    def stub(programs, updates, seed, text, say):
        asked.append((programs, updates, seed, text))
        say("doing")
        return result(compared(trained, "julia"))

    monkeypatch.setattr(run, "run", stub)
    done = sharnn("parity", "train", "--updates", "5", "--report", tmp_path, "--json", tmp_path / "mine.json")
    assert done.returncode == 0, done.stderr
    assert "doing" in done.stderr
    assert done.stdout.splitlines()[-1] == f"report: {tmp_path / 'training.html'}"
    assert {p.name for p in tmp_path.iterdir()} == {"training.html", "training.json", "training.xml", "mine.json"}
    quiet = sharnn("parity", "train", "-q", "--optimiser", "paper")
    assert len(quiet.stdout.splitlines()) == 2
    assert quiet.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--updates", "0"], "0 is not in the range"),
        (["--optimiser", "adam"], "'adam' is not one of"),
        (["no-such-text"], "does not exist"),
        (["--json", "/nonexistent/x.json"], "there is no folder"),
    ],
)
def test_wrong_usage(arguments, words):
    done = sharnn("parity", "train", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
