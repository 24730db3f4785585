"""Finding a planted fault: which law did, after how many cases, and the smallest case that shows it."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from julia_bridge import Worker
from parity.laws.backend import Backend
from parity.laws.backends import JuliaBackend, OnnxBackend, exported
from parity.laws.engine_backend import EngineBackend
from parity.laws.laws import LAWS
from parity.laws.strategies import Spec
from parity.laws.target import SHARNNTarget
from tests.laws.targets import MAKERS
from tests.laws.torch_laws import TORCH_LAWS

CASES = 40
"""The cases tried of every law, until one does not hold."""


@dataclass(frozen=True)
class Kill:
    law: str
    cases: int
    """How many cases were tried up to the first that failed, over all laws."""
    message: str
    """What is wrong in the smallest case found, or in the first."""
    case: str
    """What was drawn for that case."""


def kill(where: str, worker: Callable[[], Worker], only: str | None = None, shrink: bool = True) -> Kill | None:
    """The first law that does not hold on the back end `where`; None if all do, so that the fault is not found.

    With `only`, no other law is tried; without `shrink`, the case is the first that was found and not the smallest.
    """
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    tried = 0
    for name, holds in laws_of(where, worker):
        if only not in (None, name):
            continue
        counter = _Counter(holds)
        try:
            settings(
                max_examples=CASES, derandomize=True, database=None, deadline=None,
                suppress_health_check=list(HealthCheck), phases=phases,
            )(given(st.data())(counter.run))()  # fmt: skip
        except Exception as error:
            notes = [note for note in getattr(error, "__notes__", []) if note.startswith("Draw ")]
            message = str(error).splitlines()[0] if str(error) else repr(error)
            return Kill(name, tried + counter.first, message, "\n".join(notes))
        tried += counter.count
    return None


class _Counter:
    """A law, the cases it was tried on, and the number of the first that failed."""

    def __init__(self, holds: Callable) -> None:
        self.holds, self.count, self.first = holds, 0, 0

    @property
    def run(self) -> Callable:
        def run(data):
            self.count += 1
            try:
                self.holds(data.draw)
            except Exception:
                self.first = self.first or self.count
                raise

        return run


def laws_of(where: str, worker: Callable[[], Worker]) -> Iterator[tuple[str, Callable]]:
    """The laws that a back end is tested by, in order. Back ends are made within a law, with the fault in them."""
    if where == "torch":
        yield from TORCH_LAWS.items()
    for semantics in ("julia", "paper"):
        if where == "torch":
            target = SHARNNTarget(MAKERS["torch float32"], semantics=semantics)
        elif where == "julia":
            if semantics == "paper":
                return
            make = functools.lru_cache(64)(lambda spec: JuliaBackend(spec.config, spec.parameters(), worker()))
            target = SHARNNTarget(make, semantics="julia", any_attention=False, any_semantics=False)
        else:
            make = functools.lru_cache(64)(functools.partial(_on_an_export, where))
            target = SHARNNTarget(make, semantics=semantics)
        for name, law in LAWS.items():
            yield f"{name} ({semantics})", functools.partial(law, target)


def _on_an_export(where: str, spec: Spec) -> Backend:
    if where.startswith("engine"):
        folder = exported(spec.config, spec.parameters())
        try:
            return EngineBackend(folder, "step" if where == "engine step" else "either")
        finally:
            shutil.rmtree(folder.parent)
    return OnnxBackend(spec.config, spec.parameters(), where.removeprefix("onnx "))  # type: ignore[arg-type]
