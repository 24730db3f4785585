"""Live cases: SHA-RNN run in Julia now, compared with the port, recorded and read back."""

import json
import os

import pytest
import torch
from click.testing import CliRunner

import sharnn_py.layers as layers
from julia_bridge.sharnn.upstream import UpstreamError
from parity import Recording, UsageError, run_case
from parity.recording.library import PACKAGED
from parity.sharnn.live import Case, checkpoint_case, random_case, record, recorded_case, sources
from sharnn_py import JULIA, PAPER, SHARNN, Config, ConfigError, Vocabulary, from_julia, save_checkpoint
from sharnn_py.cli import sharnn as command
from tests.forked import sharnn

pytestmark = pytest.mark.usefixtures("installation")


@pytest.mark.parametrize("seed", range(10, 13))
def test_random_cases_agree(worker, tmp_path, seed):
    result = run_case(record(random_case(seed), "reference", worker, tmp_path / "case.safetensors"))
    assert result, result.first
    assert result.compared > 50
    assert {"eval", "carry", "agrad", "grad"} <= {c.name.split("/")[0] for c in result.comparisons}
    assert set(result.skipped.values()) <= {
        "given to the port as its input",
        "the mask of a model without attention, which nothing uses",
    }


def test_the_same_seed_is_the_same_case():
    one, two, other = random_case(3), random_case(3), random_case(4)
    assert one.config == two.config
    assert all(torch.equal(one.parameters[name], two.parameters[name]) for name in one.parameters)
    assert other.config != one.config
    assert [len(x) for x, _ in random_case(3, lengths=(4, 1)).segments] == [4, 1]


def test_a_recording_run_again_holds_what_was_recorded(worker, tmp_path):
    recorded = Recording("r", PACKAGED / "sha_rnn_jl" / "L3_h2_tied_b2.safetensors.xz")
    again = record(recorded_case(recorded), "reference", worker, tmp_path / "again.safetensors")
    for name in (n for n in recorded.tensors if n.startswith("eval/")):
        assert again.tensor(name).shape == recorded.tensor(name).shape
        assert again.tensor(name).dtype == recorded.tensor(name).dtype
    assert run_case(again)


def test_a_difference_in_julia_is_found(worker, tmp_path):
    """Julia runs with another parameter than the recording says: the first tensor after it is named."""
    case = random_case(11)
    changed = {**case.parameters, "blocks.1.lnff.beta": case.parameters["blocks.1.lnff.beta"] + 1e-3}
    live = record(Case(case.name, case.config, changed, case.segments), "reference", worker, tmp_path / "x.safetensors")
    tensors = {**live.tensors, "param/blocks.1.lnff.beta": case.parameters["blocks.1.lnff.beta"]}
    result = run_case(Recording("x", live.path, (tensors, live.metadata)))
    assert result.first.name == "eval/1/blocks.1.lnff"
    assert {c.name.split("/", 2)[2] for c in result.wrong} == {"blocks.1.lnff"}


def test_a_wrong_backward_pass_is_found_live(worker, tmp_path, monkeypatch):
    live = record(random_case(11, lengths=(4, 3)), "reference", worker, tmp_path / "x.safetensors")
    gelu = layers.gelu
    monkeypatch.setattr(layers, "gelu", lambda x: 2 * gelu(x) - gelu(x).detach())
    result = run_case(live)
    assert {c.name.split(".")[-1] for c in result.wrong} == {"boom_gelu"}
    assert {c.name.split("/")[0] for c in result.wrong} == {"backward"}
    assert "2 times as large" in result.first.hints[0].description
    assert {"agrad", "grad"} == {c.name.split("/")[0] for c in result.inherited}


def test_gradients_of_a_large_model_are_left_out(worker, tmp_path, monkeypatch):
    monkeypatch.setattr("parity.sharnn.live.GRADIENTS_UP_TO", 10)
    live = record(random_case(11), "reference", worker, tmp_path / "x.safetensors")
    assert not live.has("grad")
    assert run_case(live)


@pytest.mark.skipif(not os.environ.get("SHARNN_JL_PATH"), reason="SHARNN_JL_PATH names no checkout of SHA-RNN.jl")
def test_upstream_itself(worker, tmp_path):
    result = run_case(record(random_case(20), "upstream", worker, tmp_path / "case.safetensors"))
    assert result
    assert "SHA-RNN.jl@ebd62af" in result.provenance["implementation"]


def test_sources_say_why_upstream_is_not_run(monkeypatch, tmp_path):
    def unreachable(path=None):
        raise UpstreamError("out of reach")

    monkeypatch.setattr("parity.sharnn.live.model_source", unreachable)
    said = []
    assert sources(None, said.append) == ["reference"]
    assert "only the reference statement" in said[0]
    monkeypatch.undo()
    with pytest.raises(UpstreamError, match="there is no"):
        sources(tmp_path, said.append)


@pytest.fixture
def checkpoint(tmp_path):
    config = Config(vocab=6, emb=8, hidden=16, layers=3, max_memory=5, tied=False, semantics=JULIA)
    save_checkpoint(SHARNN(config), tmp_path / "model", Vocabulary(["<s>", "<unk>", "a", "b", "c", "d"]))
    (tmp_path / "text.txt").write_text("a b c\nd d a b z\n" * 20)
    return tmp_path


def test_a_checkpoint_on_a_text(worker, checkpoint):
    case = checkpoint_case(checkpoint / "model", checkpoint / "text.txt", (7, 1, 12))
    assert case.segments[0][0].flatten().tolist() == [2, 3, 4, 0, 5, 5, 2]
    ours = from_julia(case.parameters, case.config)
    assert ours.keys() == SHARNN(case.config).state_dict().keys()
    assert run_case(record(case, "reference", worker, checkpoint / "case.safetensors"))


def test_a_checkpoint_julia_cannot_run_is_refused(worker, checkpoint):
    paper = Config(vocab=6, emb=8, hidden=16, layers=2, semantics=PAPER)
    save_checkpoint(SHARNN(paper), checkpoint / "paper", Vocabulary(["<s>", "<unk>", "a", "b", "c", "d"]))
    with pytest.raises(ConfigError, match="semantics are not julia's"):
        record(checkpoint_case(checkpoint / "paper", checkpoint / "text.txt"), "reference", worker, checkpoint / "p")
    save_checkpoint(SHARNN(paper), checkpoint / "wordless")
    with pytest.raises(UsageError, match=r"has no vocabulary\.json"):
        checkpoint_case(checkpoint / "wordless", checkpoint / "text.txt")


def invoke(*arguments):
    """The command in this process, where `shared_julia` is."""
    return CliRunner().invoke(command, ["parity", *map(str, arguments)], standalone_mode=False)


@pytest.mark.usefixtures("shared_julia")
def test_recorded_written_and_read_back(tmp_path):
    path = tmp_path / "recordings" / "mine.safetensors"
    path.parent.mkdir()
    done = invoke("record", "-o", path, "--seed", "7", "--segments", "4,1,9")
    assert not done.return_value, done.output
    assert "not SHA-RNN.jl" in done.output
    recording = Recording("mine", path)
    assert json.loads(recording.metadata["config"])["segs"] == [4, 1, 9]
    done = sharnn("parity", "run", "--references", path.parent)
    assert done.returncode == 0
    assert "AGREEMENT: the recording agrees" in done.stdout
    flipped = sharnn("parity", "run", "--references", path.parent, "--flip", "layer_norm")
    assert flipped.returncode == 1


@pytest.mark.usefixtures("shared_julia")
def test_run_live_with_a_seed_and_a_checkpoint(checkpoint):
    done = invoke(
        "run", "--case", "sha_rnn_jl/baseline_l1", "--live", "--seed", "5", "--segments", "7,1,12",
        "--checkpoint", checkpoint / "model", "--text", checkpoint / "text.txt", "--jobs", "1",
    )  # fmt: skip
    assert done.return_value == 0, done.output
    assert "live/reference/seed 5" in done.output
    assert "live/reference/model on text.txt" in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--seed", "3"], 2, "are for --live"),
        (["run", "--live", "--checkpoint", "."], 2, "--checkpoint and --text go together"),
        (["run", "--live", "--segments", "3,0"], 2, "is not a list of segment lengths"),
        (["run", "--live", "--upstream", "docs", "--case", "baseline_l1", "--seed", "1"], 3, "there is no"),
        (
            ["record", "-o", "x.safetensors"],
            2,
            "give either MODULE:FACTORY and INPUTS, or --seed, or --checkpoint and --text",
        ),
        (["record", "-o", "x.bin", "--seed", "1"], 2, "ends in .safetensors"),
        (["record", "-o", "/nonexistent/x.safetensors", "--seed", "1"], 2, "there is no folder"),
    ],
)
def test_wrong_usage(arguments, code, words):
    done = sharnn("parity", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
