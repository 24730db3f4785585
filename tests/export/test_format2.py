"""An export of the format before, whose sequences share one mask in a step: `format2`, written by that version."""

from pathlib import Path

import numpy as np
import pytest

from export import Engine, ExportError, Session
from sharnn_py import TorchSession

FOLDER = Path(__file__).with_name("format2")


@pytest.mark.parametrize("batch", [1, 3])
def test_it_is_served_as_ever(batch, tmp_path):
    onnx, theirs = Session.load(FOLDER), TorchSession.load(FOLDER)
    draw = np.random.default_rng(0)
    for session in (onnx, theirs):
        session.reset(batch)
    for steps in (3, 0, 0, 0, 0, 0, 0, 2, 0):
        tokens = draw.integers(onnx.config.vocab, size=(max(steps, 1), batch))
        ours, found = ((s.prefill(tokens) if steps else s.step(tokens[0])) for s in (onnx, theirs))
        np.testing.assert_allclose(ours, found, rtol=1e-4, atol=2e-5)


def test_an_engine_says_that_it_has_to_be_exported_again():
    with pytest.raises(ExportError, match="in which sequences can only move together; export the model again, or load"):
        Engine.load(FOLDER)
