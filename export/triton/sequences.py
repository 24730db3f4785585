"""The model NAME of `sharnn export --triton`, as Triton's Python back end calls it: segments of living sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # the back end brings it

from export.triton.instance import Instance
from export.triton.living import Answer, LivingSequences, Segment
from sharnn_py.errors import SharnnError

_START, _END = 1, 2
"""Bits of a request's flags."""


class TritonPythonModel:
    """One instance: the sequences that Triton sends to it."""

    def initialize(self, arguments: dict[str, str]) -> None:
        """Load the export, and warm it up."""
        instance = Instance(arguments)
        idle = int(instance.config["sequence_batching"]["max_sequence_idle_microseconds"]) / 1e6
        self._sequences = LivingSequences(instance.engine(instance.config["max_batch_size"]), idle)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests, each of another sequence."""
        return [_response(answer) for answer in self._sequences.feed([_segment(request) for request in requests])]


def _segment(request: Any) -> Segment:
    ids, flags = pb_utils.get_input_tensor_by_name(request, "IDS"), request.flags()
    save = pb_utils.get_input_tensor_by_name(request, "SAVE")
    return Segment(
        request.correlation_id(),
        None if ids is None else ids.as_numpy()[0],
        _bytes(request, "TEXT"),
        start=bool(flags & _START),
        end=bool(flags & _END),
        snapshot=_bytes(request, "SNAPSHOT"),
        save=save is not None and bool(save.as_numpy().any()),
    )


def _bytes(request: Any, name: str) -> bytes | None:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else bytes(tensor.as_numpy().reshape(-1)[0])


def _response(answer: Answer | SharnnError) -> Any:
    if isinstance(answer, SharnnError):
        return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(str(answer)))
    outputs = [pb_utils.Tensor("LOGITS", answer.logits[None])]
    if answer.saved is not None:
        outputs.append(pb_utils.Tensor("SAVED", np.array([[answer.saved]], dtype=np.object_)))
    return pb_utils.InferenceResponse(output_tensors=outputs)
