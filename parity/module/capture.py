"""Recording what any torch module computes, to compare another program with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from parity.errors import UsageError
from parity.module.hooks import NAME, mapped, watched
from parity.module.segment import Call, Loss, plainly
from parity.recording.library import open
from parity.recording.recording import Recording
from parity.recording.writer import RecordingWriter
from parity.subject.gradient_probe import Note

Segment = Tensor | tuple[Tensor, ...]
"""The inputs of one segment: a tensor, or several in order."""


def capture(
    module: nn.Module,
    *segments: Segment,
    call: Call | None = None,
    loss: Loss | None = None,
    path: str | Path | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Recording:
    """Run `module` on the inputs of each segment and record every tensor, in the format of docs/recordings.md.

    The module runs as it is, in its own dtype and mode: put it in `eval()` mode first if it has dropout. With `loss`,
    a function from the output to a scalar, the gradients by every parameter and by every intermediate are recorded
    too. `call(module, inputs, state)` returns (output, state) for a module that carries a state from segment
    to segment; its tensors are recorded as `carry/<segment>/state...`, and detached.
    With `path` (.safetensors) the recording is written there. Raises `UsageError` if there is nothing to run on.
    """
    if not segments:
        raise UsageError("there are no inputs; give the tensors of at least one segment")
    call = call or plainly
    tensors: dict[str, Tensor] = {}

    def keep(name: str, tensor: Tensor) -> Tensor:
        tensors[name] = tensor.detach().clone()
        return tensor

    for name, tensor in module.state_dict().items():
        keep(f"param/{name}", tensor)
    state: Any = None
    for number, given in enumerate(segments, start=1):
        inputs = tuple(x.detach().clone() for x in (given if isinstance(given, tuple) else (given,)))
        for i, x in enumerate(inputs):
            keep(f"input/{number}/{i}", x)
            setattr(x, NAME, f"input.{i}")
        watching: dict[str, Tensor] = {}

        def note(name: str, tensor: Tensor, number: int = number, watching: dict[str, Tensor] = watching) -> Tensor:
            keep(f"eval/{number}/{name}", tensor)
            if tensor.requires_grad:
                watching[name] = tensor
            return tensor

        with torch.set_grad_enabled(loss is not None):
            with watched(module, note):
                output, state = call(module, inputs, state)
            output = mapped(output, "output", note)
            if loss is not None:
                value = loss(output)
                keep(f"eval/{number}/loss", value)
                _keep_gradients(module, value, watching, number, keep)
        state = mapped(state, "state", lambda _, tensor: tensor.detach())
        mapped(state, f"carry/{number}/state", keep)
    header = {
        "implementation": f"torch module {type(module).__module__}.{type(module).__qualname__}",
        "torch": torch.__version__,
        **(metadata or {}),
    }
    recording = Recording(type(module).__qualname__, contents=(tensors, header))
    return recording if path is None else save(recording, path)


def _keep_gradients(module: nn.Module, loss: Tensor, watching: dict[str, Tensor], number: int, keep: Note) -> None:
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    sought = [*watching.values(), *parameters.values()]
    found = torch.autograd.grad(loss, sought, allow_unused=True)
    for name, gradient in zip(watching, found, strict=False):
        if gradient is not None:
            keep(f"agrad/{number}/{name}", gradient)
    for (name, p), gradient in zip(parameters.items(), found[len(watching) :], strict=True):
        keep(f"grad/{number}/{name}", torch.zeros_like(p) if gradient is None else gradient)


def recording_of(tensors: Mapping[str, Any], **metadata: str) -> Recording:
    """A recording of tensors or NumPy arrays that some program computed, under the names of docs/recordings.md.

    `param/<name>`, `input/<segment>/<i>`, `eval/<segment>/<tensor>`, `grad/<segment>/<parameter>`, ...
    """
    contents = {name: torch.as_tensor(value) for name, value in tensors.items()}
    return Recording(metadata.get("implementation", "memory"), contents=(contents, metadata))


def save(recording: Recording, path: str | Path) -> Recording:
    """Write a recording to a file (.safetensors), and return it as one that is read from there."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UsageError(f"{path}: a recording's name ends in .safetensors")
    with RecordingWriter(path) as writer:
        for name, tensor in recording.tensors.items():
            writer.add(name, tensor)
        writer.finish(recording.metadata)
    return open(path)
