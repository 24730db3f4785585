from .compare import Measure, Worst, measure_exact, measure_rounded
from .errors import RecordingError, UsageError
from .recording import PACKAGED, Recording, discover
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
    "discover",
    "measure_exact",
    "measure_rounded",
    "run",
    "run_case",
]
