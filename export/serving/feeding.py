"""Feeding a segment, or a part of one, to the `segment` graph: from a state and ids to logits and the next state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.serving.mask import Segment
from export.serving.onnx_sessions import OnnxSessions
from export.serving.segment_state import SegmentState


def feed(
    graphs: OnnxSessions, state: SegmentState, tokens: NDArray[np.int64], whole: Segment | None = None, at: int = 0
) -> tuple[NDArray[np.float32], SegmentState]:
    """Feed ids (T, B) to `state`, which stays as it is; logits (T, B, V) on the host, and the state that follows.

    They are a segment, or the steps from `at` on of the segment `whole`, if that is `divisible`.
    """
    session, (steps, batch) = graphs.segment(), tokens.shape
    whole = Segment(graphs.config, state.rows, steps) if whole is None else whole
    feeds: dict[str, NDArray[Any]] = {"tokens": np.ascontiguousarray(tokens)}
    if graphs.config.attention_layers:
        feeds["mask"] = whole.mask(at, steps)
        if graphs.config.semantics.attention_scale == "julia":
            feeds["attention_scale"] = np.array(whole.attention_scale, np.float32)
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    for name, value in state.values.items():
        binding.bind_ortvalue_input(name, value)
    following = [f"{name}.next" for name in state.values]
    binding.bind_output("logits", "cpu")
    for name in following:
        binding.bind_output(name, *graphs.device)
    session.run_with_iobinding(binding)
    logits, *values = binding.get_outputs()
    rows = whole.held(at + steps) if graphs.config.attention_layers else 0
    return np.array(logits.numpy()), SegmentState(batch, rows, dict(zip(state.values, values, strict=True)))
