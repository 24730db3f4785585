"""`sharnn export`, `onnx check`, `generate` and `score` as commands: what they print, write and exit with."""

import json
import re
import shutil

import pytest

import export.exporter

CASES = "a prompt of words"
ONE = pytest.mark.parametrize("config", ["paper"], indirect=True)
"""One model: what a slow command says of it has nothing to do with its semantics."""


@pytest.mark.slow
@ONE
def test_export_says_what_it_wrote_and_how_to_check_it(sharnn, checkpoint, tmp_path):
    folder = tmp_path / "e"
    code, out, err = sharnn("export", checkpoint, "-o", folder, "--int8")
    assert (code, err) == (0, "")
    assert out.startswith(f"{folder}: segment, step, to_ring, to_memory, step.int8; 0.")
    assert f"not yet compared with PyTorch: sharnn onnx check {folder}" in out
    code, out, err = sharnn("export", checkpoint, "-o", folder, "--check")
    assert (code, err) == (0, "")
    assert "compared with PyTorch: all within bounds" in out


@pytest.mark.slow
@ONE
def test_an_export_with_a_small_ring_is_checked_and_says_how_far(sharnn, checkpoint, tmp_path):
    folder = tmp_path / "e"
    for command in (("export", checkpoint, "-o", folder, "--capacity", 3, "--check"), ("onnx", "check", folder)):
        code, out, err = sharnn(*command)
        assert (code, err) == (0, "")
        assert "steps that need more than the 3 rows of this export's ring were not replayed" in out


@pytest.mark.slow
@ONE
def test_check_says_where_nodes_run_and_what_was_compared(sharnn, exported, tmp_path):
    code, out, err = sharnn("onnx", "check", exported, "--json", tmp_path / "found.json", "--nodes")
    assert (code, err) == (0, "")
    assert re.search(r"segment\s+cpu\s+\d+\s+has a kernel for each", out)
    assert re.search(r"step.int8\s+cpu\s+\d+\s+for the CPU", out)
    assert "blocks.1.rnn_new" in out
    assert out.splitlines()[-1].startswith("AGREEMENT: ")
    found = json.loads((tmp_path / "found.json").read_text())
    assert {row["what"] for row in found["rows"]} == {"logits", "h", "c", "memory"}
    assert all(row["passed"] for row in found["rows"])
    assert {node["provider"] for node in found["placements"]} == {"cpu"}


@pytest.mark.slow
@ONE
def test_a_wrong_export_is_a_divergence(sharnn, checkpoint, tmp_path, monkeypatch):
    real = export.exporter.fold
    monkeypatch.setattr(export.exporter, "fold", lambda p, c: {n: w * 1.01 for n, w in real(p, c).items()})
    folder = tmp_path / "e"
    assert sharnn("export", checkpoint, "-o", folder)[0] == 0
    code, out, _ = sharnn("onnx", "check", folder, "--json", tmp_path / "found.json")
    assert code == 1
    assert out.splitlines()[-1].startswith("DIVERGENCE: segment, logits: off by")
    assert out.count("WRONG") == sum(
        not row["passed"] for row in json.loads((tmp_path / "found.json").read_text())["rows"]
    )
    code, _, err = sharnn("export", checkpoint, "-o", tmp_path / "f", "--check")
    assert code == 3
    assert err.startswith("error: the export does not compute what the model does, and was not written")
    assert not (tmp_path / "f").exists()


@pytest.mark.slow
@ONE
def test_a_graph_that_would_fall_to_the_cpu_is_a_divergence(sharnn, exported, monkeypatch):
    from export import cuda_kernels

    monkeypatch.delitem(cuda_kernels.KERNELS, "ScatterND")
    code, out, _ = sharnn("onnx", "check", exported)
    assert code == 1
    assert "ScatterND  cpu  the table of CUDA kernels does not have it" in out
    assert re.search(r"step\s+cpu\s+\d+\s+has no kernel for 2", out)
    assert out.splitlines()[-1].startswith("MISPLACED: 2 nodes")


@pytest.mark.slow
@ONE
def test_both_back_ends_generate_the_same_text(sharnn, exported, checkpoint, tmp_path):
    (tmp_path / "prompt").write_text(CASES)
    texts = [
        sharnn("generate", exported, "--prompt", CASES, "-n", 30),
        sharnn("generate", checkpoint, "--prompt", CASES, "-n", 30),
        sharnn("generate", exported, "--backend", "torch", "--prompt-file", tmp_path / "prompt", "-n", 30),
        sharnn("generate", exported, "--backend", "onnx", "--prompt-file", "-", "-n", 30, stdin=CASES.encode()),
    ]
    assert texts[0][0] == 0
    assert len(texts[0][1]) > 20
    assert texts == [texts[0]] * 4
    assert sharnn("generate", exported, "--prompt", CASES, "-n", 30, "--seed", 1) != texts[0]
    greedy = [sharnn("generate", exported, "--prompt", CASES, "--temperature", 0, "--seed", seed) for seed in (1, 2)]
    assert greedy[0] == greedy[1] == sharnn("generate", exported, "--prompt", CASES, "--top-k", 1)


@pytest.mark.parametrize(("first", "second"), [("onnx", "torch"), ("torch", "onnx")])
def test_text_continues_from_a_state_that_the_other_back_end_saved(sharnn, exported, tmp_path, first, second):
    state = tmp_path / "state.safetensors"
    code, _, _ = sharnn("generate", exported, "--backend", first, "--prompt", "words", "-n", 9, "--save-state", state)
    assert code == 0
    here, there = (
        sharnn("generate", exported, "--backend", backend, "--prompt", " and", "-n", 30, "--state", state)
        for backend in (first, second)
    )
    assert here == there
    assert here != sharnn("generate", exported, "--prompt", " and", "-n", 30)


def test_both_back_ends_score_a_text_the_same(sharnn, exported, tmp_path):
    (tmp_path / "text").write_text("words and\nmore words")
    numbers = []
    for backend in ("torch", "onnx"):
        code, out, err = sharnn("score", exported, tmp_path / "text", "--backend", backend, "--json", tmp_path / "s")
        assert (code, err) == (0, "")
        numbers.append(json.loads((tmp_path / "s").read_text()))
        assert f"{numbers[-1]['bits_per_byte']:.4f} bits per byte (20 bytes)" in out
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-5)
    assert sharnn("score", exported, "-", stdin=b"words and\nmore words")[1] == out


def test_int8_is_scored_by_steps(sharnn, exported, tmp_path):
    (tmp_path / "text").write_text("words and\nmore words")
    bits = []
    for options in ([], ["--int8"]):
        code, _, err = sharnn("score", exported, tmp_path / "text", "--segment", 1, *options, "--json", tmp_path / "s")
        assert (code, err) == (0, "")
        bits.append(json.loads((tmp_path / "s").read_text())["bits_per_byte"])
    assert 0 < abs(bits[1] - bits[0]) < 0.05 * bits[0]


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_text_ends_before_a_stop_and_follows_its_prompt(sharnn, exported, backend):
    line = ["generate", exported, "--backend", backend, "--prompt", CASES, "-n", 40, "--threads", 1]
    code, whole, err = sharnn(*line)
    assert (code, err) == (0, "")
    assert sharnn(*line, "--echo") == (0, CASES + whole, "")
    stops = [whole[9:11], whole[5:7]]
    cut = min(whole.index(stop) for stop in stops)
    assert sharnn(*line, "--stop", stops[0], "--stop", stops[1]) == (0, whole[:cut] + "\n", "")


@ONE
def test_threads_are_given_to_the_back_end(sharnn, exported, monkeypatch):
    import onnxruntime
    import torch

    given = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    assert sharnn("generate", exported, "--backend", "torch", "--prompt", "a", "--threads", 2)[0] == 0
    real = onnxruntime.InferenceSession

    def opened(path, options, **named):
        given.append(options.intra_op_num_threads)
        return real(path, options, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    assert sharnn("score", exported, "-", "--threads", 3, stdin=b"a")[0] == 0
    assert set(given) == {2, 3}


def test_a_gpu_has_its_number_and_graphs(sharnn, exported, monkeypatch):
    from export import Session

    given = []
    monkeypatch.setattr(Session, "load", lambda *where, **how: given.append((where[1:], how)) or 1 / 0)
    for command in (["generate", exported, "--prompt", "a"], ["score", exported, "-"]):
        with pytest.raises(ZeroDivisionError):
            sharnn(*command, "--provider", "cuda", "--device", 3, "--cuda-graph", "--threads", 1)
    assert given == [(("cuda", "exported"), {"threads": 1, "cuda_graph": True, "device_id": 3})] * 2


BAD = [
    (["export", "{checkpoint}"], 2, "Missing option '-o'"),
    (["export", "{tmp}", "-o", "{tmp}/e"], 3, "config.json"),
    (["export", "{tmp}/nothing", "-o", "{tmp}/e"], 2, "does not exist"),
    (["export", "{checkpoint}", "-o", "{checkpoint}"], 3, "exists and is not an export"),
    (["export", "{checkpoint}", "-o", "{tmp}/e", "--int8", "--precision", "float16"], 2, "int8 goes with float32"),
    (["export", "{checkpoint}", "-o", "{tmp}/e", "--capacity", "0"], 2, "x>=1"),
    (["onnx", "check", "{checkpoint}"], 3, "is not an export: it has no manifest.json"),
    (["onnx", "check", "{exported}", "--json", "{tmp}/no/x.json"], 2, "there is no folder"),
    (["generate", "{exported}"], 2, "either --prompt or --prompt-file"),
    (["generate", "{exported}", "--prompt", ""], 3, "the prompt is empty"),
    (["generate", "{exported}", "--prompt", "Über"], 3, "at offset 0 of the text is not in the vocabulary"),
    (["generate", "{exported}", "--prompt", "a", "--temperature", "-1"], 2, "temperature is -1.0"),
    (["generate", "{exported}", "--prompt", "a", "--top-k", "0"], 2, "top_k is 0"),
    (["generate", "{exported}", "--prompt", "a", "--top-p", "2"], 2, "top_p is 2.0"),
    (["generate", "{exported}", "--prompt", "a", "--state", "{exported}/config.json"], 3, "cannot be read as a saved"),
    (["generate", "{exported}", "--prompt", "a", "--save-state", "{tmp}/no/state"], 2, "there is no folder"),
    (["generate", "{exported}", "--prompt", "a", "--backend", "torch", "--int8"], 2, "is for the onnx back end"),
    (["generate", "{checkpoint}", "--prompt", "a", "--backend", "onnx"], 3, "is not an export"),
    (["generate", "{exported}", "--prompt", "a", "--backend", "torch", "--cuda-graph"], 2, "is for the onnx back end"),
    (["generate", "{exported}", "--prompt", "a", "--backend", "torch", "--device", "1"], 2, "--provider is cpu"),
    (["generate", "{exported}", "--prompt", "a", "--cuda-graph"], 2, "cuda_graph is True and the provider is cpu"),
    (["generate", "{exported}", "--prompt", "a", "--device", "1"], 2, "device_id is 1 and the provider is cpu"),
    (["generate", "{exported}", "--prompt", "a", "--device", "-1"], 2, "x>=0"),
    (["generate", "{exported}", "--prompt", "a", "--threads", "0"], 2, "x>=1"),
    (["generate", "{exported}", "--prompt", "a", "--stop", ""], 2, "a list of texts, none of them empty"),
    (["score", "{exported}", "{exported}/nothing"], 2, "does not exist"),
    (["score", "{exported}", "{exported}/config.json"], 3, "is not in the vocabulary"),
    (["score", "{exported}", "-"], 3, "the text is empty"),
    (["score", "{exported}", "-", "--int8"], 2, "score by steps, with --segment 1"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "message"), BAD, ids=[" ".join(a) for a, _, _ in BAD])
def test_bad_input_is_one_sentence_and_writes_nothing(sharnn, checkpoint, exported, tmp_path, arguments, code, message):
    places = {"checkpoint": checkpoint, "exported": exported, "tmp": tmp_path}
    given, out, err = sharnn(*[argument.format(**places) for argument in arguments])
    assert (given, out) == (code, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_more_text_than_capacity_ends_in_a_sentence(sharnn, checkpoint, tmp_path):
    folder = tmp_path / "e"
    sharnn("export", checkpoint, "-o", folder, "--capacity", 3)
    code, out, err = sharnn("generate", folder, "--prompt", "a", "-n", 9)
    assert code == 3
    assert len(out) <= 3
    assert err.startswith("error: the ring holds 3 rows and this step needs 4")


@pytest.mark.parametrize("graph", ["segment", "step"])
def test_a_corrupt_graph_is_told_even_under_a_corrected_hash(sharnn, exported, tmp_path, graph):
    from tests.export.edited_manifest import rehash

    copy = shutil.copytree(exported, tmp_path / "copy")
    (copy / f"{graph}.onnx").write_bytes(b"\x08\x01 not a graph")
    code, _, err = sharnn("generate", copy, "--prompt", "a")
    assert code == 3
    assert f"{graph}.onnx is not the file that was exported" in err
    rehash(copy)
    code, _, err = sharnn("generate", copy, "--prompt", "a")
    assert code == 3
    assert f"{graph}.onnx is not a graph that onnxruntime can run" in err


def test_a_provider_that_is_not_there_is_an_error_that_says_what_is_missing(sharnn, exported, monkeypatch):
    from export.serving import providers

    monkeypatch.setattr(providers, "_loads", lambda file: False)  # on a machine with a GPU too
    for command in (["generate", exported, "--prompt", "a"], ["score", exported, "-"], ["onnx", "check", exported]):
        code, out, err = sharnn(*command, "--provider", "cuda", stdin=b"a")
        assert (code, out) == (3, "")
        assert "the NVIDIA driver" in err
        assert "CUDA 13" in err
        assert "cuDNN 9" in err
        assert 'pip install "onnxruntime-gpu[cuda,cudnn]"' in err
