"""`sharnn parity explain`: the rows account for everything, and what they do not account for is a failure."""

import json
import math
import re
import subprocess
import sys
from functools import cache

import msgspec
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from parity import PACKAGED, Recording, RecordingError, UsageError
from parity.commands.explain import explain as command
from parity.recording.library import discover
from parity.sharnn.attribution import endpoints, forward, page, training
from parity.sharnn.attribution.recorded import RecordedRun, why_not
from parity.sharnn.attribution.run import CASES, explain
from parity.sharnn.attribution.words import headline
from parity.sharnn.ledger.entry import FORWARD_SWITCHES, SWITCHES, Where
from parity.sharnn.ledger.ledger import Ledger, load
from sharnn_py import PAPER, SHARNN, Config, nll, to_smerity
from sharnn_py.layers import Boom, LayerNorm
from sharnn_py.weights.smerity import unused_shapes

pytestmark = pytest.mark.slow

LEDGER = load()
EXPLAINABLE = [
    r.name for r in discover(PACKAGED) if not r.is_data and "baseline" not in r.name and not r.name.endswith("_lamb")
]
"""They are chosen by name, since reading them would add a second to every run of any test."""


@pytest.fixture(scope="module")
def explanation():
    return explain()


@pytest.fixture
def as_run(explanation, monkeypatch):
    """Both programs as they are run, which every explanation ends with, explained once and not again."""
    monkeypatch.setattr(training, "explain", lambda ledger: explanation.cases[-1])


@pytest.fixture(scope="module")
def explained():
    """What the ledger says of a packaged recording, by its name."""
    return cache(lambda name: forward.explain(recorded(name), LEDGER, None))


def recorded(name):
    return RecordedRun(Recording(name, PACKAGED / f"{name}.safetensors.xz"))


def test_the_page_begins_with_the_row_that_changes_most(explanation, tmp_path):
    html = page.write_page(explanation, tmp_path / "new").read_text()
    first = headline(explanation)
    assert first.startswith(
        "the row that changes most is Boom's map from F to H features: SHA-RNN.jl has output k is the sum"
    )
    assert html.index("EXPLAINED: in all ") < html.index(first.partition(": ")[2][:20]) < html.index("<table>")
    for case in explanation.cases:
        assert f"<h2>{case.name}</h2>" in html
    for contribution in explanation.cases[0].contributions:
        assert f'<a href="#{contribution.entry}">{contribution.switch}</a>' in html
        assert f'id="{contribution.entry}"' in html
    assert "<script" not in html


def without(switch):
    return Ledger(1, tuple(e for e in LEDGER.entries if e.switch != switch))


def changed(switch, **fields):
    return Ledger(1, tuple(msgspec.structs.replace(e, **fields) if e.switch == switch else e for e in LEDGER.entries))


def test_the_ledger_accounts_for_everything(explanation):
    assert explanation
    assert explanation.exit_code == 0
    assert [case.name for case in explanation.cases] == [*CASES, "as run"]
    for case in explanation.cases:
        assert case, (case.problems, case.endpoints)
        assert case.contributions[-1].left.largest == case.contributions[-1].left.loss == 0
        assert case.total.largest > 0.1


def test_contributions_add_up_to_the_whole_difference(explanation):
    for case in explanation.cases:
        assert sum(c.added.loss for c in case.contributions) == pytest.approx(case.total.loss, abs=1e-12)
        assert case.loss[0] + case.total.loss == pytest.approx(case.loss[1], abs=1e-12)
        assert case.contributions[0].alone == case.contributions[0].added
        assert case.total.largest <= sum(c.added.largest for c in case.contributions)


def test_every_row_shows_in_the_default_cases(explanation):
    seen = {c.switch for case in explanation.cases[:-1] for c in case.contributions if c.first}
    assert seen == set(FORWARD_SWITCHES)
    last = explanation.cases[-1]
    assert tuple(c.switch for c in last.contributions) == SWITCHES
    for found in last.contributions:
        assert found.first
        assert found.alone.largest > 0
        assert found.added.largest > 0
        assert found.added.loss != 0


def test_one_endpoint_is_the_recording_and_the_port_is_well_within_rounding_of_it(explanation):
    for case in explanation.cases[:-1]:
        own = 0 if case.name.startswith("sha_rnn_jl/") else 1
        assert case.endpoints[own].what == "the recording"
        assert 0 < case.endpoints[own].ratio < 0.5
        assert [end.program for end in case.endpoints] == ["julia", "paper"]


def test_the_names_tell_which_recordings_can_be_explained():
    assert [r.name for r in discover(PACKAGED) if not why_not(r)] == EXPLAINABLE


@pytest.mark.parametrize("name", EXPLAINABLE)
def test_every_packaged_recording_is_explained(name, explained):
    case = explained(name)
    assert case, (case.problems, case.endpoints)


def test_the_measured_ranges_are_not_wider_than_what_is_measured(explained):
    """Within a tenth at either end, over all packaged recordings."""
    cases = [explained(name) for name in EXPLAINABLE]
    for switch in FORWARD_SWITCHES:
        for size in LEDGER.by_switch(switch).sizes:
            if size.over == "packaged":
                found = [
                    c.measured[size.quantity]
                    for case in cases
                    for c in case.contributions
                    if c.switch == switch and c.first
                ]
                assert min(found) < 1.1 * size.low, (switch, size)
                assert max(found) > 0.9 * size.high, (switch, size)


def test_another_seed_of_the_programs_run():
    case = training.explain(LEDGER, 1)
    assert case, (case.problems, case.endpoints)


@pytest.mark.parametrize("switch", FORWARD_SWITCHES)
def test_a_row_missing_from_the_ledger_leaves_a_difference(switch):
    case = forward.explain(recorded("smerity/L4_wide_boom"), without(switch), None)
    assert not case
    assert "a difference that the ledger does not explain" in case.problems[0]
    assert f"it has no entry for {switch}" in case.problems[0]
    assert case.contributions[-1].left.largest > 1e-3


@pytest.mark.parametrize("switch", ["attention_dropout", "segment_lengths"])
def test_a_row_missing_from_the_ledger_leaves_a_difference_as_run(switch):
    case = training.explain(without(switch))
    assert not case
    assert f"it has no entry for {switch}" in case.problems[0]


def test_an_empty_ledger_explains_nothing():
    case = forward.explain(recorded("smerity/L4_wide_boom"), Ledger(1, ()), None)
    assert not case
    assert "no entry for layer_norm, boom, attention_scale, memory_cut, tied_bias" in case.problems[0]


@pytest.mark.parametrize(
    "quantity", [size.quantity for size in LEDGER.by_switch("boom").sizes if size.over == "packaged"]
)
def test_a_wrong_size_in_the_ledger_is_a_failure(quantity):
    sizes = LEDGER.by_switch("boom").sizes
    wrong = [msgspec.structs.replace(s, low=0.0, high=s.low / 2) if s.quantity == quantity else s for s in sizes]
    case = forward.explain(recorded("sha_rnn_jl/L4_longseg"), changed("boom", sizes=wrong), None)
    assert not case
    assert len(case.problems) == 1
    assert "boom measures" in case.problems[0]
    assert case.contributions[-1].left.is_zero


def test_a_wrong_place_in_the_ledger_is_a_failure():
    ledger = changed("memory_cut", where=Where(["eval/*/blocks.*.attn.focus"], [], []))
    case = forward.explain(recorded("sha_rnn_jl/L4_longseg"), ledger, None)
    assert case.problems == (
        "memory_cut is first seen at eval/2/blocks.2.memory_in, where the ledger says eval/*/blocks.*.attn.focus",
    )


def n_minus_1_alone(patch):
    """n - 1 under paper, too, so that row 1 does nothing."""

    def forward(self, x):
        return self.weight * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-12) + self.bias

    patch.setattr(LayerNorm, "forward", forward)
    return "smerity/"


def n_alone(patch):
    """n under julia, too."""

    def forward(self, x):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, 1e-12)

    patch.setattr(LayerNorm, "forward", forward)
    return "sha_rnn_jl/"


def chunks_the_wrong_way(patch):
    fold = Boom.fold
    patch.setattr(Boom, "fold", lambda self, x: fold(self, x).flip(-1))
    return ""


def a_row_too_many(patch):
    import sharnn_py.model as model

    dropped = model.rows_dropped
    patch.setattr(model, "rows_dropped", lambda *given: max(0, dropped(*given) - 1))
    return ""


def not_a_number(patch):
    patch.setattr(Boom, "fold", lambda self, x: x[..., : self.emb] * math.nan)
    return ""


@pytest.mark.usefixtures("as_run")
@pytest.mark.parametrize("fault", [n_minus_1_alone, n_alone, chunks_the_wrong_way, a_row_too_many, not_a_number])
def test_a_fault_in_the_port_is_a_difference_that_no_row_explains(fault, monkeypatch):
    program = fault(monkeypatch)
    explanation = explain(["sha_rnn_jl/L4_longseg", "smerity/L4_h2_tied_b3"])
    assert not explanation
    assert explanation.exit_code == 1
    json.dumps(explanation.to_json(), allow_nan=False)
    failed = [case.name for case in explanation.cases if not all(case.endpoints)]
    assert failed
    assert any(name.startswith(program) for name in failed)


def test_a_port_that_stops_is_a_difference_that_no_row_explains(monkeypatch):
    monkeypatch.setattr(Boom, "fold", lambda self, x: x[..., : self.emb - 1])
    explanation = explain(["L4_longseg"])
    assert explanation.exit_code == 1
    assert [len(case.problems) for case in explanation.cases] == [1, 1]
    assert "the port stopped: RuntimeError" in explanation.cases[0].problems[0]


def test_a_row_that_does_nothing_is_reported_as_run(monkeypatch):
    monkeypatch.setattr(training, "paper_lamb", training.julia_lamb)
    case = training.explain(LEDGER)
    assert not case
    assert "optimiser contributes nothing" in case.problems


@pytest.fixture
def elsewhere(tmp_path):
    """A recording as of Smerity's program, with attention in block 0 of 3, where SHA-RNN.jl never has it."""
    config = Config(vocab=7, emb=6, hidden=12, layers=3, max_memory=4, attention_layers=(0,), semantics=PAPER)
    generator = torch.Generator().manual_seed(0)
    model = SHARNN(config, generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    unused = {name: torch.zeros(shape) for name, shape in unused_shapes(config).items()}
    tensors = {f"param/{name}": t for name, t in to_smerity(model.state_dict(), config, unused).items()}
    state = None
    for segment in (1, 2):
        ids = torch.randint(0, 7, (5, 2), generator=generator)
        with torch.no_grad():
            logits, state = model(ids[:-1], state)
        tensors |= {f"eval/{segment}/x": ids[:-1], f"eval/{segment}/y": ids[1:], f"eval/{segment}/logits": logits}
        tensors[f"eval/{segment}/loss"] = nll(logits, ids[1:])
    header = {"emb": 6, "hidden": 12, "vocab": 7, "nlayers": 3, "npos": 4, "heads": 1, "tie": True, "attn_layer": 0}
    header |= {"batch": 2, "segs": [4, 4], "seed": 0}
    metadata = {"source": "Smerity/sha-rnn", "config": json.dumps(header)}
    save_file({name: t.detach().clone() for name, t in tensors.items()}, tmp_path / "mine.safetensors", metadata)
    return tmp_path


@pytest.mark.usefixtures("as_run")
def test_a_folder_of_ones_own(elsewhere):
    explanation = explain(references=elsewhere)
    assert explanation, [case.problems for case in explanation.cases]
    assert [case.name for case in explanation.cases] == ["mine", "as run"]
    assert {c.switch for c in explanation.cases[0].contributions if c.first} == set(FORWARD_SWITCHES)


def test_a_model_that_julia_does_not_have_is_said_and_the_port_stands_for_it(elsewhere):
    run = RecordedRun(Recording("mine", elsewhere / "mine.safetensors"))
    case = forward.explain(run, LEDGER, lambda recorded: endpoints.live(recorded, "reference", worker=None))
    assert case
    assert case.endpoints[0].what == "the port"
    assert "Julia has no such model" in case.notes[0]
    assert "SHA-RNN.jl has attention in (1,) alone" in case.notes[0]


@pytest.mark.usefixtures("shared_julia")
def test_live_julia_is_the_julia_endpoint_at_smeritys_recordings():
    explanation = explain(["smerity/L4_h2_tied_b3"], live=True)
    assert explanation, explanation.cases[0].problems
    end = explanation.cases[0].endpoints[0]
    assert end.program == "julia"
    assert "SHA-RNN.jl" in end.what
    assert 0 < end.ratio < 1


@pytest.mark.usefixtures("as_run")
def test_recordings_that_say_nothing_of_the_rows(elsewhere):
    for name, words in (
        ("baseline_l1", "not of a SHA-RNN"),
        ("data_pipeline", "of the data code"),
        ("smerity/L4_h1_tied_b2_lamb", "no forward passes"),
    ):
        with pytest.raises(RecordingError, match=words):
            explain([name])
    (elsewhere / "data_pipeline.json").write_text("{}")
    assert explain(references=elsewhere).skipped == {"data_pipeline": "it is of the data code"}
    (elsewhere / "mine.safetensors").unlink()
    with pytest.raises(RecordingError, match="there is nothing to explain: data_pipeline: it is of the data code"):
        explain(references=elsewhere)
    with pytest.raises(UsageError, match="there is no case 'nonesuch'"):
        explain(["nonesuch"])


@pytest.mark.usefixtures("as_run")
def test_a_paper_model_that_julia_cannot_have_is_skipped(elsewhere):
    recording = Recording("mine", elsewhere / "mine.safetensors")
    config = {**recording.config, "hidden": 13}
    save_file(
        dict(recording.tensors), elsewhere / "odd.safetensors", {**recording.metadata, "config": json.dumps(config)}
    )
    explanation = explain(references=elsewhere)
    assert explanation
    assert list(explanation.skipped) == ["odd"]
    assert "hidden must be a multiple of emb" in explanation.skipped["odd"]


def test_ids_outside_the_vocabulary(elsewhere):
    recording = Recording("mine", elsewhere / "mine.safetensors")
    tensors = {**recording.tensors, "eval/2/y": recording.tensor("eval/2/y") + 7}
    save_file(tensors, elsewhere / "mine.safetensors", recording.metadata)
    with pytest.raises(RecordingError, match="eval/2/y has ids outside the vocabulary of 7"):
        explain(references=elsewhere)


def invoke(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


@pytest.mark.usefixtures("as_run")
def test_the_command(tmp_path, monkeypatch):
    target = tmp_path / "explained.json"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = invoke("--case", "smerity/L4_h2_tied_b3", "--json", target)
    assert done.return_value == 0, done.output
    assert re.search(r"paper is the recording; the port's error is 0\.[0-4]\d* of its tolerance", done.output)
    assert "attention_scale" in done.output
    assert "EXPLAINED: in all 2 cases the ledger's rows account for the whole difference" in done.output
    heading, _, sentence, _ = (tmp_path / "summary.md").read_text().splitlines()
    assert heading.startswith("### EXPLAINED: in all 2 cases")
    assert sentence.startswith("the row that changes most is ")
    content = json.loads(target.read_text())
    assert content["explained"] is True
    assert content["exit_code"] == 0
    assert content["ledger"] == LEDGER.version
    case = content["cases"][0]
    assert case["explained"] is True
    assert [c["row"] for c in case["contributions"]] == [1, 2, 3, 4, 5]
    assert case["contributions"][4]["left"] == {"largest": 0.0, "rms": 0.0, "loss": 0.0}
    assert case["contributions"][3]["first"] == "eval/3/blocks.2.memory_in"


def test_the_command_fails_where_something_is_not_explained(monkeypatch):
    chunks_the_wrong_way(monkeypatch)
    done = invoke("--case", "smerity/L4_h2_tied_b3")
    assert done.return_value == 1
    assert "the port under paper does not compute what the recording has: eval/" in done.output
    assert "no row explains that" in done.output
    assert "`sharnn parity run --case smerity/L4_h2_tied_b3` finds the first layer" in done.output
    assert "UNEXPLAINED" in done.output


def test_wrong_usage_of_the_command():
    assert "there is no folder" in str(invoke("--json", "/nonexistent/a.json").exception)
    assert isinstance(invoke("--case", "nonesuch").exception, UsageError)


def test_importing_the_command_loads_no_torch():
    code = "import parity.commands.explain, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.usefixtures("as_run")
def test_both_endpoints_are_recorded_where_both_programs_ran_on_the_same_weights():
    (case, _) = explain(["smerity/jl_L4_longseg"]).cases
    assert [end.what for end in case.endpoints] == ["the recording sha_rnn_jl/L4_longseg", "the recording"]
    assert all(end.ratio < 0.4 for end in case.endpoints)
    assert case


def test_a_recording_that_only_says_that_it_has_the_same_weights_is_refused():
    own = recorded("smerity/jl_L2_h2_untied_b3").recording
    claim = {**own.metadata, "same weights": "sha_rnn_jl/L2_h2_untied_b3"}
    tensors = dict(own.tensors)
    assert endpoints.counterpart(RecordedRun(Recording("x", own.path, (tensors, claim)))) is not None
    changed = {**tensors, "param/encoder.weight": tensors["param/encoder.weight"] + 1}
    with pytest.raises(RecordingError, match="but they differ"):
        endpoints.counterpart(RecordedRun(Recording("x", own.path, (changed, claim))))
    assert (
        endpoints.counterpart(RecordedRun(Recording("x", own.path, (tensors, {**claim, "same weights": ""})))) is None
    )
