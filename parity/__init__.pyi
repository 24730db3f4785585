from .errors import RecordingError, UsageError
from .judge.case import hold
from .judge.difference import diff
from .measure import Measure, Worst, measure_exact, measure_rounded
from .module.capture import capture, recorded, save
from .module.check import assert_parity, check
from .recording.recording import PACKAGED, Recording, discover
from .report.terminal import text
from .results import CaseResult, Comparison, Hint, SuiteResult
from .sharnn.suite import run, run_case
from .subject.scene import Scene, Step
from .subject.subject import Item, Precision, Subject

__all__ = [
    "PACKAGED",
    "CaseResult",
    "Comparison",
    "Hint",
    "Item",
    "Measure",
    "Precision",
    "Recording",
    "RecordingError",
    "Scene",
    "Step",
    "Subject",
    "SuiteResult",
    "UsageError",
    "Worst",
    "assert_parity",
    "capture",
    "check",
    "diff",
    "discover",
    "hold",
    "measure_exact",
    "measure_rounded",
    "recorded",
    "run",
    "run_case",
    "save",
    "text",
]
