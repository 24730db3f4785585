"""A way in which Julia can be had on this machine, as the process that is to run it needs to know it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Lane:
    """An installed Julia with juliacall.

    `name` is "juliapkg" or "debian", `place` the folder that holds it, `environment` what a process must have in its
    environment from its start, and `python_path` the folders that come first among those it imports from.
    """

    name: str
    place: Path
    environment: Mapping[str, str]
    python_path: tuple[Path, ...] = ()

    def process_environment(self) -> dict[str, str]:
        """The caller's environment, changed as this lane needs it, in which `julia_bridge.process.child` can start."""
        # The interpreter's own folders follow by themselves; those given in other ways have to be passed on.
        this_project = Path(__file__).parents[2]
        inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        path = [*map(str, self.python_path), str(this_project), *inherited]
        return {**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(path)}
