"""Where recordings are, and what they are called: nothing here opens one, or loads torch."""

from fnmatch import fnmatchcase
from pathlib import Path

PACKAGED = Path(__file__).parents[1] / "references"
"""The folder of the recordings that come with the package."""
SUFFIXES = (".safetensors", ".safetensors.xz")
DATA_PIPELINE = "data_pipeline.json"
"""The name of a recording of code that prepares data."""


def paths(folder: Path) -> list[tuple[str, Path]]:
    """The name and the path of every recording in a folder and its subfolders."""
    found = [path for path in folder.rglob("*") if path.name == DATA_PIPELINE or path.name.endswith(SUFFIXES)]
    return [(stem(path.relative_to(folder).as_posix()), path) for path in found]


def name_matches(name: str, given: str) -> bool:
    """Whether a recording's name, or the last parts of it, are what was given, which may be a pattern."""
    return name == given or name.endswith(f"/{given}") or fnmatchcase(name, given) or fnmatchcase(name, f"*/{given}")


def stem(name: str) -> str:
    """A file's name as its recording's."""
    for suffix in (*reversed(SUFFIXES), ".json"):
        name = name.removesuffix(suffix)
    return name
