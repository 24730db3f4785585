"""The model NAME_text of `sharnn export --triton`, as Triton's Python back end calls it: texts after prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # the back end brings it

from export.triton.drawing import Drawing
from export.triton.instance import Instance
from sharnn_py.errors import InputError, SharnnError

_TOKENS = 100
"""Of a text, unless a request says how many."""


class TritonPythonModel:
    """One instance: the texts that Triton asks it for."""

    def initialize(self, arguments: dict[str, str]) -> None:
        """Load the export, and warm it up."""
        instance = Instance(arguments)
        engine = instance.engine(int(instance.parameter("slots")))
        self._drawing = Drawing(engine, int(instance.parameter("queue")), int(instance.parameter("most_tokens")))

    def execute(self, requests: list[Any]) -> None:
        """Begin texts; the answers come from the thread that generates them."""
        for request in requests:
            stream = _value(request, "stream")
            reader = _Reader(request.get_response_sender(), stream is None or bool(stream))
            try:
                n = _value(request, "max_tokens")
                self._drawing.want(
                    reader, bytes(_value(request, "text_input")), _TOKENS if n is None else int(n), _settings(request)
                )
            except SharnnError as error:
                reader.end(str(error))

    def finalize(self) -> None:
        """End all texts."""
        self._drawing.stop()


class _Reader:
    """Sends a text to the client that asked for it, in parts or at its end."""

    def __init__(self, sender: Any, stream: bool) -> None:
        self._sender, self._stream, self._kept = sender, stream, ""

    @property
    def left(self) -> bool:
        return bool(self._sender.is_cancelled())

    def tell(self, text: str) -> None:
        if self._stream:
            self._sender.send(_response(text))
        else:
            self._kept += text

    def end(self, error: str | None) -> None:
        final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
        if error is not None:
            failed = pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(error))
            self._sender.send(failed, flags=final)
        elif self._stream:
            self._sender.send(flags=final)
        else:
            self._sender.send(_response(self._kept), flags=final)


def _response(text: str) -> Any:
    return pb_utils.InferenceResponse([pb_utils.Tensor("text_output", np.array([text.encode()], dtype=np.object_))])


def _value(request: Any, name: str) -> Any:
    """The one value of an input, or None if it was not given."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy().reshape(-1)[0]


def _settings(request: Any) -> dict[str, Any]:
    """What `Scheduler.submit` is told of how to draw. Raises `InputError` for stops that are not UTF-8."""
    given = {name: _value(request, name) for name in ("temperature", "top_k", "top_p", "seed")}
    settings = {name: value.item() for name, value in given.items() if value is not None}
    stop = pb_utils.get_input_tensor_by_name(request, "stop")
    if stop is not None:
        try:
            settings["stop"] = [bytes(text).decode() for text in stop.as_numpy().reshape(-1)]
        except UnicodeDecodeError as error:
            raise InputError(f"stop has a text that is not UTF-8: {error}") from error
    return settings
