"""Recording leaves the state as it was, and a replay that computes something else is never used.

This is tested on a stand-in device; what a GPU does with the recording is tested by test_gpu.py, where there is one.
"""

import numpy as np
import pytest
from onnxruntime import OrtValue

from export import ProviderError
from export.serving.cuda_graph import capture


class Device:
    """Runs a step in place; a recorded graph replays it, rightly or not."""

    def __init__(self, replays_rightly=True):
        self.state = OrtValue.ortvalue_from_numpy(np.array([3.0], np.float32))
        self.logits = OrtValue.ortvalue_from_numpy(np.zeros(1, np.float32))
        self.rightly = replays_rightly
        self.recorded = []
        self.runs = 0

    def run(self, options):
        graph = options.get_run_config_entry("gpu_graph_id")
        self.runs += 1
        stale = graph in self.recorded and not self.rightly
        if graph != "-1":
            self.recorded.append(graph)
        value = self.state.numpy() * 2 + (1 if stale else 0)
        self.state.update_inplace(value)
        self.logits.update_inplace(value + 1)

    def read(self):
        return [np.array(value.numpy()) for value in (self.logits, self.state)]

    def restore(self):
        self.state.update_inplace(np.array([3.0], np.float32))


def test_a_recording_is_seen_to_compute_the_same_and_moves_nothing_on():
    device = Device()
    options = capture(device.run, device.read, device.restore, graph=7)
    assert options.get_run_config_entry("gpu_graph_id") == "7"
    assert device.recorded == ["7", "7"]
    assert device.state.numpy() == [3.0]
    device.run(options)
    assert device.state.numpy() == [6.0]


def test_a_replay_that_gives_other_numbers_is_refused():
    device = Device(replays_rightly=False)
    with pytest.raises(ProviderError, match="gives other numbers than a plain run; load without CUDA graphs"):
        capture(device.run, device.read, device.restore, graph=7)
    assert device.state.numpy() == [3.0]
