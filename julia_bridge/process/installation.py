"""A Julia installation: what the process that runs it needs to know of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from julia_bridge.process.libraries import missing_libraries


@dataclass(frozen=True)
class JuliaInstallation:
    """An installed Julia with juliacall.

    `name` is "juliapkg" or "debian", `place` the folder that holds it, `environment` what a process must have in its
    environment from its start, and `python_path` the folders that come first among those it imports from.
    """

    name: str
    place: Path
    environment: Mapping[str, str]
    python_path: tuple[Path, ...] = ()

    def process_environment(self) -> dict[str, str]:
        """The caller's environment, changed so that `julia_bridge.process.child` can run this Julia in it."""
        # The child's interpreter finds its own folders; those that were added in other ways have to be passed on.
        this_project = Path(__file__).parents[2]
        inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        path = [*map(str, self.python_path), str(this_project), *inherited]
        return {**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(path)}

    def problems(self) -> list[str]:
        """A message for each library that is missing from an installation that brings its own; else none."""
        search = [Path(folder) for folder in self.environment.get("LD_LIBRARY_PATH", "").split(":") if folder]
        lacking: dict[str, Path] = {}
        for file, library in missing_libraries(self.place, search) if search else ():
            lacking.setdefault(library, file.relative_to(self.place))
        return [
            f"{library}, which {file} needs, is not in {self.place}. Remove that folder and install again."
            for library, file in lacking.items()
        ]


Lane = JuliaInstallation
"""The former name of `JuliaInstallation`."""
