"""The training loop: updates, and between them what is logged, scored and saved."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sharnn_py.checkpoint import save_checkpoint
from sharnn_py.model import SHARNN
from sharnn_py.torch_session import TorchSession
from sharnn_py.trainer.interrupt import Interrupt
from sharnn_py.trainer.journal import Journal, Row
from sharnn_py.trainer.length import Length, Plan
from sharnn_py.trainer.progress import Display
from sharnn_py.trainer.run import Run
from sharnn_py.trainer.saved import training_folder, write_run
from sharnn_py.trainer.validate import bits_per_byte, scoring_segment

LOG_EVERY = 5.0
"""Seconds between rows of the log."""
VALIDATE_EVERY = 60.0
"""Seconds between validations, at most a tenth of a run that ends by the clock, ..."""
VALIDATION_SHARE = 0.05
"""... and at most this share of the time, whatever a validation takes."""
SAVE_EVERY = 30.0
"""Seconds between saves, at most a twentieth of a run that ends by the clock, ..."""
SAVING_SHARE = 0.02
"""... and at most this share of the time."""
SAMPLE = 160
"""Tokens of text that are shown after a validation."""


@dataclass(frozen=True)
class Todo:
    """What rank 0 decides after an update, by its clock."""

    log: bool
    validate: bool
    save: bool
    end: bool


@dataclass(frozen=True)
class Ended:
    """How a call of `fit` ended."""

    interrupted: int | None
    """The signal that ended it, if one did."""
    early: bool
    """Whether validation stopped getting better."""


def fit(
    run: Run, length: Length, folder: Path, display: Display, interrupt: Interrupt, begun: float, asked: dict[str, Any]
) -> Ended:
    """Train `run` to the end of `length`, and keep `folder` (`sharnn_py.trainer.saved`) up to date.

    `begun` is the `time.monotonic()` at which the command began. `asked`, JSON-ready, is saved with the run. Raises
    `TrainingError` for a run that goes wrong, `OSError` where a file cannot be written; what was saved before is in
    place.
    """
    return _Loop(run, length, folder, display, interrupt, begun, asked).run_to_the_end()


class _Loop:
    def __init__(
        self,
        run: Run,
        length: Length,
        folder: Path,
        display: Display,
        interrupt: Interrupt,
        begun: float,
        asked: dict[str, Any],
    ) -> None:
        self.run, self.length, self.folder, self.asked = run, length, folder, asked
        self.display, self.interrupt = display, interrupt
        self.origin = begun - run.counters.seconds
        now = self.seconds
        self.logged = self.validated = self.saved = now
        self.validation_cost = self.saving_cost = 0.0
        self.begin_taken, self.begin_seconds = run.columns.taken, now
        self.logged_taken = run.columns.taken
        self.nats, self.tokens, self.rate = 0.0, 0, 0.0
        self.journal = Journal(training_folder(folder), run.counters.update) if run.ranks.first else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.origin

    def run_to_the_end(self) -> Ended:
        run, ranks = self.run, self.run.ranks
        first_update = run.counters.update
        if self.length.epochs is not None:
            taken = run.columns.taken
            end = math.ceil(self.length.epochs * run.columns.steps)
            run.plan = run.plan if run.plan.end == end and first_update else Plan(0, 0.0, end)
            if taken >= end:
                self.display.say(f"nothing is left to do: the run has read the text {self.length}")
                return Ended(None, False)
        while True:
            did = run.update()
            self.nats, self.tokens, self.rate = self.nats + did.nats * did.tokens, self.tokens + did.tokens, did.rate
            if did.remark:
                self.display.say(did.remark)
            if self.length.seconds is not None and run.counters.update == first_update + 5:
                self._replan()  # from the first updates' speed, which is better than none
            todo = ranks.told(self._todo())
            bits = self._validate() if todo.validate else None
            if todo.log:
                self._log(bits)
            early = ranks.told(bool(run.settings.patience) and run.counters.worse >= run.settings.patience)
            if todo.save or early:
                self._save()
            if todo.end or early:
                if self.journal is not None:
                    self.journal.close()
                return Ended(ranks.told(self.interrupt.signal), early)

    def _todo(self) -> Todo:
        now, limit = self.seconds, self.length.seconds
        share = self.run.plan.share(self.run.columns.taken)
        over = share >= 1 if limit is None else now + 1.2 * self.validation_cost + self.saving_cost >= limit
        interrupted = bool(self.interrupt)
        validate_every = min(VALIDATE_EVERY, (limit or math.inf) / 10)
        due = now - self.validated >= max(validate_every, self.validation_cost / VALIDATION_SHARE)
        validate = (over or due) and not interrupted
        save_every = min(SAVE_EVERY, (limit or math.inf) / 20)
        save = now - self.saved >= max(save_every, self.saving_cost / SAVING_SHARE)
        end = over or interrupted
        return Todo(validate or end or now - self.logged >= LOG_EVERY, validate, save or validate or end, end)

    def _replan(self) -> None:
        """Draw the plan anew from the speed since the beginning, all that was done besides updates included."""
        run, limit = self.run, self.length.seconds
        if limit is None:
            return
        taken, seconds = run.columns.taken - self.begin_taken, self.seconds - self.begin_seconds
        left = max(limit - self.seconds - self.validation_cost - self.saving_cost, 0.0)
        run.plan = run.ranks.told(run.plan.remade(run.columns.taken, taken / seconds * left))

    def _validate(self) -> float | None:
        """Score the held-out text on rank 0, keep the model if it is the best, and show what it writes."""
        run, counters = self.run, self.run.counters
        if not run.ranks.first:
            return None
        began = time.monotonic()
        corpus, segment = run.corpus, scoring_segment(run.settings)
        bits = bits_per_byte(run.model, corpus.vocabulary, corpus.held_out, segment)
        best = counters.best_bits is None or bits < counters.best_bits
        if best:
            counters.best_bits, counters.best_update, counters.worse = bits, counters.update, 0
            save_checkpoint(run.model, self.folder, corpus.vocabulary)
        else:
            counters.worse += 1
        self.validation_cost = time.monotonic() - began
        self.display.say(
            f"update {counters.update:,}, {self.seconds / 60:.1f} min: held-out {bits:.4f} bits per byte"
            + ("" if best else f" (best {counters.best_bits:.4f})")
        )
        self._sample()
        self.validated = self.seconds
        return bits

    def _sample(self) -> None:
        run = self.run
        if not isinstance(run.model, SHARNN):
            return
        session = TorchSession(run.model, run.corpus.vocabulary)
        text = "".join(islice(session.generate("\n", SAMPLE, temperature=0.8, seed=0), SAMPLE))
        run.model.train()
        self.display.say("  | " + " / ".join(line for line in text.split("\n") if line))

    def _log(self, bits: float | None) -> None:
        run, now = self.run, self.seconds
        if self.journal is not None:
            per_byte = run.corpus.bytes_per_token * math.log(2)
            read = (run.columns.taken - self.logged_taken) * run.settings.batch * run.corpus.bytes_per_token
            row = Row(
                update=run.counters.update,
                epoch=run.columns.taken / run.columns.steps,
                seconds=now,
                bytes=run.bytes_read,
                bytes_per_second=read / max(now - self.logged, 1e-9),
                rate=self.rate,
                train_bits=self.nats / self.tokens / per_byte,
                valid_bits=bits,
            )
            self.journal.write(row)
            share = run.plan.share(run.columns.taken)
            self.display.show(row, share, self._left(share), run.counters.best_bits)
        self.logged, self.logged_taken, self.nats, self.tokens = now, run.columns.taken, 0.0, 0

    def _left(self, share: float) -> float:
        if self.length.seconds is not None:
            return self.length.seconds - self.seconds
        speed = (self.run.columns.taken - self.begin_taken) / max(self.seconds - self.begin_seconds, 1e-9)
        return (self.run.plan.end - self.run.columns.taken) / speed

    def _save(self) -> None:
        run = self.run
        began = time.monotonic()
        self._replan()
        run.counters.seconds = self.seconds
        tensors, facts = run.contents()
        facts["asked"] = self.asked
        if run.ranks.first:
            write_run(self.folder, tensors, facts)
            save_checkpoint(run.model, self.folder / "last", run.corpus.vocabulary)
            if run.counters.best_bits is None:
                save_checkpoint(run.model, self.folder, run.corpus.vocabulary)
        self.saving_cost = time.monotonic() - began
        self.saved = self.seconds
