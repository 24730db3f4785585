from .captured import capture, recorded, save
from .checks import assert_parity, check
from .compare import Measure, Worst, measure_exact, measure_rounded
from .difference import diff
from .errors import RecordingError, UsageError
from .holding import hold
from .recording import PACKAGED, Recording, discover
from .report.terminal import text
from .results import CaseResult, Comparison, Hint, SuiteResult
from .steps import Scene, Step
from .subject import Item, Precision, Subject
from .suite import run, run_case

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
