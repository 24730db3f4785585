"""What the fixture `assert_parity` does, once a test asks for it; pytest itself loads `sharnn_py.pytest_plugin`."""

from __future__ import annotations

import base64
import copy
import hashlib
import pickle
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from parity.module.capture import Segment
    from parity.recording.recording import Recording
    from parity.results import CaseResult

FOLDER = "references"
"""Beside a test's file: the references of tests that name none."""


class Finding(NamedTuple):
    """What one call of the fixture found."""

    test: str
    result: CaseResult
    written: str
    """The reference that it wrote; "" if it wrote none."""


def checker(request: pytest.FixtureRequest, findings: list[Finding]) -> Callable[..., CaseResult]:
    """The fixture of one test, which adds to `findings`."""
    from parity.module.check import check
    from parity.report.terminal import text

    own: list[Path] = []

    def checked(
        module: Any,
        reference: Recording | None = None,
        *,
        inputs: Segment | list[Segment] | None = None,
        **options: Any,
    ) -> CaseResult:
        __tracebackhide__ = True
        written = ""
        if reference is None:
            path = reference_path(request.path, request.node.nodeid, len(own))
            own.append(path)
            reference, written = _own_reference(request, path, module, inputs, options)
        elif inputs is not None:
            pytest.fail(
                "inputs are for a reference of the test's own; a recording that is given has them", pytrace=False
            )
        result = replace(check(module, reference, **options), name=f"{request.node.nodeid}: {reference.name}")
        findings.append(Finding(request.node.nodeid, result, written))
        if not result:
            pytest.fail(text(result), pytrace=False)
        return result

    return checked


def reference_path(file: Path, nodeid: str, call: int = 0) -> Path:
    """The file of a test's own reference: by its file's name and its own, and the number of the call from the second.

    Letters that names of files should not have are replaced, and such names told apart by a few digits.
    """
    test = nodeid.partition("::")[2].replace("::", ".")
    name = re.sub(r"[^\w.-]+", "-", test).strip("-")
    if re.fullmatch(r"[\w.\[\]-]*", test) is None:
        name += "-" + hashlib.sha256(test.encode()).hexdigest()[:8]
    if call:
        name += f"-{call + 1}"
    return file.parent / FOLDER / file.stem / f"{name}.safetensors"


def _own_reference(
    request: pytest.FixtureRequest, path: Path, module: Any, inputs: Any, options: Mapping[str, Any]
) -> tuple[Recording, str]:
    """The test's own reference, and where it was written if it was written now. Fails the test if there is none."""
    from parity.module.capture import capture
    from parity.recording.inputs import segments_in
    from parity.recording.library import open

    __tracebackhide__ = True
    given = None if inputs is None else [_tensors(segment) for segment in _segments(inputs)]
    if not request.config.getoption("--parity-update"):
        if not path.is_file():
            pytest.fail(
                f"there is no reference {path}; `pytest --parity-update` writes it, from the module that the test is "
                "given, so run that once with one that is known to be right",
                pytrace=False,
            )
        reference = open(path)
        if given is not None and not _equal(given, segments_in(reference)):
            pytest.fail(
                f"the test's inputs are not those of {path}; `pytest --parity-update` records them anew", pytrace=False
            )
        return reference, ""
    if options.get("names"):
        pytest.fail("names are for another program's recording; the test's own has the module's names", pytrace=False)
    if given is None and not path.is_file():
        pytest.fail(f"to record {path}, give assert_parity the inputs of the module", pytrace=False)
    given = segments_in(open(path)) if given is None else given
    path.parent.mkdir(parents=True, exist_ok=True)
    how = {key: options.get(key) for key in ("call", "loss")}
    recorded = capture(copy.deepcopy(module).eval(), *given, path=path, metadata={"test": request.node.nodeid}, **how)
    return recorded, str(path)


def _segments(inputs: Any) -> list[Any]:
    return inputs if isinstance(inputs, list) else [inputs]


def _tensors(segment: Any) -> tuple[Any, ...]:
    return segment if isinstance(segment, tuple) else (segment,)


def _equal(ones: list[tuple[Any, ...]], others: list[tuple[Any, ...]]) -> bool:
    import torch

    return [len(one) for one in ones] == [len(other) for other in others] and all(
        torch.equal(a, b) for one, other in zip(ones, others, strict=True) for a, b in zip(one, other, strict=True)
    )


def packed(findings: Iterable[Finding], whole: bool) -> list[dict[str, str]]:
    """What the controller needs of each finding, as texts; if `whole`, all of the result."""
    from parity.report import words

    return [
        {
            "test": finding.test,
            "name": finding.result.name,
            "verdict": finding.result.verdict,
            "sentence": words.legible(words.sentence(finding.result)),
            "written": finding.written,
            **({"result": _packed(finding.result)} if whole else {}),
        }
        for finding in findings
    ]


def _packed(result: CaseResult) -> str:
    return base64.b85encode(zlib.compress(pickle.dumps(result), 1)).decode()


def _unpacked(text: str) -> CaseResult:
    result: CaseResult = pickle.loads(zlib.decompress(base64.b85decode(text)))
    return result


def write(found: list[dict[str, str]], failed: Mapping[str, str], folder: Path | None, interrupted: bool) -> None:
    """Write what was found to `folder`, if one is given, and to the summary of a step of GitHub's.

    A test that `failed` without a divergence is a case that could not be run: no report says AGREEMENT over it.
    """
    from parity.report.files import write_report
    from parity.report.step_summary import write_step_summary
    from parity.results import CaseResult, of_cases
    from parity.sharnn.environment import environment

    cases = [_unpacked(one["result"]) for one in sorted(found, key=lambda one: one["name"]) if "result" in one]
    cases += [
        CaseResult(test, "unknown", "the test", 0, [], {}, 0.0, problem=f"the test failed: {reason}")
        for test, reason in failed.items()
    ]
    result = of_cases(cases, environment())
    if interrupted:
        result = replace(result, notes=["the session was interrupted: tests that had not run by then are not here"])
    if folder is not None:
        write_report(result, folder)
    write_step_summary(result)
