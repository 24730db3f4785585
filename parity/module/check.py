"""Comparing a torch module with a recording, in a script or in a test."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from parity.judge.case import compare_case
from parity.module.compiled import uncompiled
from parity.module.names import with_names
from parity.module.segment import Call, Loss, Run, plainly
from parity.module.subject import ModuleSubject
from parity.module.terms import Terms
from parity.recording.recording import Recording
from parity.results import CaseResult


def check(
    module: nn.Module,
    reference: Recording,
    *,
    names: Mapping[str, str] | None = None,
    layout: Mapping[str, tuple[int, ...]] | None = None,
    call: Call | None = None,
    loss: Loss | None = None,
    time_axis: int | None = None,
    tolerances: Mapping[str, float] | None = None,
    skip: Mapping[str, str] | None = None,
    expected: Mapping[str, str] | None = None,
) -> CaseResult:
    """Run `module` on the inputs that `reference` holds and compare everything of the same name, layer by layer.

    `names` maps the module's names of tensors and parameters to the recording's, where they differ
    (`parity.module.hooks` has the module's). `layout` gives, by patterns of the module's names (`input.0` is an input),
    the order in which `permute` brings a recorded tensor's axes into the module's. `call(module, inputs, state)` runs a
    segment and returns (output, state); `loss` makes a scalar of the output, for gradients to be compared; `time_axis`
    is the axis of the steps, for the first bad one to be found.

    By patterns of recorded names (`eval/2/norm`, or `norm` for all segments): `tolerances` are the largest errors,
    instead of what rounding explains; `skip` says why a tensor is not compared, `expected` why it differs, and one that
    agrees then is wrong. The result shows all three.

    The module runs on copies in evaluation mode: in float64, in float32, and in float64 with random rounding; against a
    recording in float16 or bfloat16, in that format instead of float32. Of a compiled module the original runs.
    What only one side has is named in the result's `notes`; where both have such, so is which may be which.
    Raises `RecordingError` for a recording without inputs, `UsageError` for a name or pattern that nothing has, and for
    a layout of the wrong length.
    """
    terms = Terms(dict(tolerances or {}), dict(skip or {}), dict(expected or {}))
    run = Run(call or plainly, loss, time_axis, dict(names or {}), dict(layout or {}), terms)
    subject = ModuleSubject(uncompiled(module), run)
    result = compare_case(reference, subject, reference.metadata.get("implementation", reference.name))
    return terms.shown(with_names(result, subject, reference))


def assert_parity(module: nn.Module, reference: Recording, **options: Any) -> CaseResult:
    """`check`, with its options; raise `AssertionError` with the report if anything differs or nothing was compared."""
    result = check(module, reference, **options)
    if not result:
        from parity.report.terminal import text

        raise AssertionError(text(result))
    return result
