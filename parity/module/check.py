"""Comparing a torch module with a recording, in a script or in a test."""

from collections.abc import Mapping

from torch import nn

from parity.judge.case import compare_case
from parity.module.segment import Call, Loss, Run, plainly
from parity.module.subject import ModuleSubject
from parity.recording.recording import Recording
from parity.results import CaseResult


def check(
    module: nn.Module,
    reference: Recording,
    *,
    names: Mapping[str, str] | None = None,
    call: Call | None = None,
    loss: Loss | None = None,
    time_axis: int | None = None,
) -> CaseResult:
    """Run `module` on the inputs that `reference` holds and compare everything of the same name, layer by layer.

    `names` maps the module's names of tensors and parameters to the recording's, where they differ
    (`parity.module.hooks` has the module's); `call(module, inputs, state)` runs a segment and returns (output, state);
    `loss` makes a scalar of the output, for gradients to be compared; `time_axis` is the axis of the steps, for the
    first bad one to be found. The module runs on copies in evaluation mode: in float64, in float32, and in float64
    with random rounding.
    Raises `RecordingError` for a recording without inputs.
    """
    subject = ModuleSubject(module, Run(dict(names or {}), call or plainly, loss, time_axis))
    return compare_case(reference, subject, reference.metadata.get("implementation", reference.name))


def assert_parity(
    module: nn.Module,
    reference: Recording,
    *,
    names: Mapping[str, str] | None = None,
    call: Call | None = None,
    loss: Loss | None = None,
    time_axis: int | None = None,
) -> CaseResult:
    """`check`, and raise `AssertionError` with the report if anything differs or nothing was compared."""
    result = check(module, reference, names=names, call=call, loss=loss, time_axis=time_axis)
    if not result:
        from parity.report.terminal import text

        raise AssertionError(text(result))
    return result
