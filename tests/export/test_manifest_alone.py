"""The manifest tells a stranger enough to serve the model."""

import ast
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sharnn_py import TorchSession, Vocabulary
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


@pytest.mark.parametrize("prompt", ["a", "some words that are more than the memory holds"])
def test_the_javascript_of_the_docs_writes_what_pytorch_writes(export_of, config, prompt, tmp_path):
    """The rules it follows are the plain server's too, which is checked everywhere."""
    project = os.environ.get("SHARNN_NODE_PROJECT")
    if not project:
        pytest.skip("SHARNN_NODE_PROJECT names no folder where `npm install onnxruntime-node` was run")
    model, folder = export_of(config)
    program = Path(project) / "serve.mjs"
    shutil.copyfile(Path(__file__).parents[2] / "docs" / "serve.mjs", program)
    done = subprocess.run(["node", str(program), str(folder), prompt, "40"], capture_output=True, check=True)
    ours = "".join(TorchSession(model, Vocabulary(WORDS)).generate(prompt, 40, temperature=0))
    assert "\N{REPLACEMENT CHARACTER}" not in ours  # an <unk>, which the docs' program does not expect
    assert done.stdout.decode() == ours + "\n"
