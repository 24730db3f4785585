from .compare import Comparison, Worst, compare_exact, compare_rounded
from .errors import RecordingError, UsageError
from .recording import PACKAGED, Recording, discover
from .results import CaseResult, SuiteResult
from .suite import run, run_case

__all__ = [
    "PACKAGED",
    "CaseResult",
    "Comparison",
    "Recording",
    "RecordingError",
    "SuiteResult",
    "UsageError",
    "Worst",
    "compare_exact",
    "compare_rounded",
    "discover",
    "run",
    "run_case",
]
