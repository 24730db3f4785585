from .errors import RecordingError, UsageError
from .judge.case import compare_case
from .judge.difference import diff
from .measure import Measure, Worst, measure_exact, measure_rounded
from .module.capture import capture, recording_of, save
from .module.check import assert_parity, check
from .module.onnx_graph import from_onnx
from .module.weights import Conversion, WeightMap, map_weights
from .recording.files import PACKAGED
from .recording.library import discover, find, open
from .recording.names import TensorName
from .recording.recording import Recording
from .report.terminal import text
from .results import CaseResult, Comparison, Hint, SuiteResult
from .sharnn.suite import run, run_case
from .subject.scene import Operation, Scene
from .subject.subject import RunMode, Subject, TracedTensor

__all__ = [
    "PACKAGED",
    "CaseResult",
    "Comparison",
    "Conversion",
    "Hint",
    "Measure",
    "Operation",
    "Recording",
    "RecordingError",
    "RunMode",
    "Scene",
    "Subject",
    "SuiteResult",
    "TensorName",
    "TracedTensor",
    "UsageError",
    "WeightMap",
    "Worst",
    "assert_parity",
    "capture",
    "check",
    "compare_case",
    "diff",
    "discover",
    "find",
    "from_onnx",
    "map_weights",
    "measure_exact",
    "measure_rounded",
    "open",
    "recording_of",
    "run",
    "run_case",
    "save",
    "text",
]
