"""The manifest tells a stranger enough to serve the model."""

import ast
from pathlib import Path

import numpy as np
import pytest

from sharnn_py import TorchSession
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
