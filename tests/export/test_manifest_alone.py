"""The manifest tells a stranger enough to serve the model."""

import ast
from pathlib import Path

import numpy as np
import pytest

from sharnn_py import TorchSession, Vocabulary
from tests.conftest import unavailable
from tests.export import node_project
from tests.export.conftest import WORDS
from tests.export.plain_server import PlainServer

CLOSE = dict(rtol=1e-4, atol=2e-5)


def test_the_plain_server_knows_nothing_of_this_project():
    tree = ast.parse(Path(__file__).with_name("plain_server.py").read_text())
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"json", "pathlib", "numpy", "onnxruntime"}


@pytest.mark.parametrize("changes", [
    {}, dict(heads=1), dict(attention_layers=(0, 1, 2)), dict(attention_layers=(1,)), dict(attention_layers=()),
    dict(tied=False, max_memory=1),
])  # fmt: skip
@pytest.mark.parametrize("batch", [1, 3])
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


@pytest.fixture(scope="session")
def project():
    """The folder of the modules that the docs' JavaScript runs on."""
    try:
        return node_project.install()
    except node_project.NodeUnavailable as reason:
        unavailable("onnxruntime-node", reason)


@pytest.mark.parametrize("prompt", ["a", "some words that are more than the memory holds"])
def test_the_javascript_of_the_docs_writes_what_pytorch_writes(project, export_of, config, prompt, tmp_path):
    model, folder = export_of(config)
    theirs = node_project.serve(project, tmp_path, folder, prompt, 40)
    ours = "".join(TorchSession(model, Vocabulary(WORDS)).generate(prompt, 40, temperature=0))
    assert "\N{REPLACEMENT CHARACTER}" not in ours  # an <unk>, which the docs' program does not expect
    assert theirs == ours + "\n"


def test_without_a_registry_npm_says_so_and_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARNN_NODE_DIR", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(node_project.NodeUnavailable, match="ECONNREFUSED"):
        node_project.install()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
