"""In what precision and on how many threads a run computes: as asked, as it was begun, or as measured to be fastest."""

from __future__ import annotations

from sharnn_py.fast.choice import choose
from sharnn_py.trainer.run import Run

SHARE = 0.01
"""The share of a run's time that measuring may take, and at most 4 seconds."""


def set_out(run: Run, threads: int | None, seconds: float | None) -> str | None:
    """Choose what `run` computes in; return a sentence on what was measured, if anything was.

    `threads` is a number that was asked for, `seconds` the time of the whole run if that is known. A run that is gone
    on with keeps what it was begun in, on which its rounding depends.
    """
    if run.counters.update:
        run.compute_in(run.precision, threads or run.threads)
        return None
    settings = run.settings
    asked = settings.precision
    if asked != "auto" and threads:
        run.compute_in(asked, threads)
        return None
    limit = min(4.0, SHARE * seconds) if seconds else 4.0
    choice = run.ranks.told(
        choose(
            run.model,
            settings.batch // run.ranks.world,
            settings.bptt,
            precisions=("float32", "bf16") if asked == "auto" else (asked,),
            threads=[threads] if threads else None,
            seconds=limit,
        )
    )
    run.compute_in(choice.precision, choice.threads)
    return f"fastest here, forward and backward: {choice.sentence}"
