"""The laws as pytest tests: subclass `LawSuite` in a test file, and name what it is tried on."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.laws.laws import ANY_MODEL, LAWS
from parity.laws.repro import with_repro
from parity.laws.target import LawTarget


class LawSuite:
    """The laws as pytest tests: subclass it in a test file, under a name that begins with `Test`, and name the targets.

        class TestMine(LawSuite):
            targets = {"mine": SHARNNTarget(lambda spec: Mine(spec.config, spec.parameters()), semantics="paper")}

    Add a back end by adding a line to `targets`. An entry that needs a fixture is a function of pytest's `request`
    that returns the target. How many cases are tried is up to the Hypothesis profile that is loaded.
    """

    targets: ClassVar[Mapping[str, Any]] = {}
    """A `LawTarget` (or `SHARNNTarget`), or a function of pytest's `request` that returns one, by name."""
    laws: ClassVar[Collection[str] | None] = None
    """Names of the laws to try; None: all of `LAWS` for a `SHARNNTarget`, all of `ANY_MODEL` for any other."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test for every law and target; those of one law follow each other, so that targets can share models."""
        if metafunc.function.__name__ != "test_law":
            return
        cases = [
            (law, name)
            for law in self.laws or LAWS
            for name, target in self.targets.items()
            if self.laws or law in ANY_MODEL or type(target) is not LawTarget
        ]
        metafunc.parametrize(("law", "name"), cases, ids=[f"{law}-{name}" for law, name in cases])

    def test_law(self, law: str, name: str, request: pytest.FixtureRequest) -> None:
        """The law holds in every case that Hypothesis draws."""
        target, kind = self.targets[name], type(self)
        where = f"from {kind.__module__} import {kind.__qualname__}; {kind.__qualname__}.targets[{name!r}]"
        if not isinstance(target, LawTarget):
            target, where = target(request), ""

        @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
        @given(st.data())
        def holds(data: st.DataObject) -> None:
            if where:
                with_repro(law, target, where, data.draw)
            else:
                LAWS[law](target, data.draw)

        holds()
