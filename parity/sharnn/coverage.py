"""What of the port a run of the suite did not touch, so that AGREEMENT is not read as more than it says."""

from collections.abc import Callable, Sequence

from parity.recording.recording import Recording
from parity.results import CaseResult
from parity.sharnn.header import is_baseline, model_config, program_of
from sharnn_py.config import PRESETS
from sharnn_py.errors import SharnnError

NEVER = ("initialisation", "dropout in training", "indexing of states")
"""What no recording can show, since it is drawn at random or is the port's alone. The port's own tests have it."""
SHOWN_BY: dict[str, Callable[[set[str], int], bool]] = {
    "the training loop": lambda groups, attending: "loop" in groups,
    "evaluation": lambda groups, attending: "evaluate" in groups,
    "gradients": lambda groups, attending: "grad" in groups,
    "several attending blocks": lambda groups, attending: attending > 1,
}
"""Parts of the port, and whether a case with these groups of compared tensors and attending blocks runs them."""


def not_run(recordings: Sequence[Recording], cases: Sequence[CaseResult]) -> str:
    """A line that names the parts of the port that none of the cases ran."""
    shown = [
        ({c.tensor_name.group for c in case.comparisons}, _attending(recording))
        for recording, case in zip(recordings, cases, strict=True)
    ]
    missing = [part for part, runs in SHOWN_BY.items() if not any(runs(*case) for case in shown)]
    return f"not run by these recordings: {', '.join([*missing, *NEVER])}"


def _attending(recording: Recording) -> int:
    try:
        if recording.is_data or is_baseline(recording):
            return 0
        return len(model_config(recording, PRESETS[program_of(recording)]).attention_layers or ())
    except SharnnError:  # a recording that could not be run, which its case says
        return 0
