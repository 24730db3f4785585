"""Does Julia work here? Asked by starting it, and answered in words a person can act on."""

from dataclasses import dataclass, field
from pathlib import Path

from julia_bridge.install import debian, pinned
from julia_bridge.install.install import find
from julia_bridge.process.child_process import JuliaProcess
from julia_bridge.process.installation import JuliaInstallation
from sharnn_py.errors import SharnnError

ANSWER_LIMIT = 60.0
"""Seconds for each question that the doctor asks of a Julia that has started."""


@dataclass
class Report:
    """What the doctor found. True if Julia works.

    `installation` is "juliapkg" or "debian" and `place` its folder; both are None where there is no Julia. `versions`
    maps "julia", "juliacall", "PythonCall" and, with "debian", "libunwind" to what runs. Each of `problems` says what
    to do.
    """

    installation: str | None = None
    place: Path | None = None
    versions: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        lines = [f"installation {self.installation or 'none'}"]
        if self.place is not None:
            lines.append(f"folder       {self.place}")
        lines += [f"{name:12s} {version}" for name, version in self.versions.items()]
        lines += [f"problem: {problem}" for problem in self.problems] or ["Julia works."]
        return "\n".join(lines)


def doctor() -> Report:
    """Find the installation, start its Julia, have it add two numbers and throw. Takes some 4 s, fetches nothing."""
    report = Report()
    try:
        installation = find()
        report.installation, report.place = installation.name, installation.place
        report.problems = installation.problems()
        if not report.problems:
            with JuliaProcess(installation) as process:
                report.versions = process.versions
                _examine(process, installation, report)
    except SharnnError as problem:
        report.problems.append(str(problem))
    return report


def _examine(process: JuliaProcess, installation: JuliaInstallation, report: Report) -> None:
    for function, arguments, what, expected in (
        ("+", [40, 2], "for 40 + 2", (True, 42)),
        ("error", ["as asked"], "to fail", (False, "as asked")),
    ):
        answer = process.ask(("call", function, arguments), ANSWER_LIMIT, f"call of {function}")
        if answer != expected:
            report.problems.append(
                f"Julia was asked {what} and answered {answer!r}. Remove {installation.place} and install again."
            )
    if installation.name == "debian":
        _examine_libunwind(process.pid, installation, report)


def _examine_libunwind(pid: int, installation: JuliaInstallation, report: Report) -> None:
    """Julia 1.5.3 crashes at exceptions with a newer libunwind, so it must be the one in the installation's folder."""
    mapped = {line.split()[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()}
    loaded = [path for path in sorted(mapped) if Path(path).name.startswith("libunwind.so")]
    if loaded and all(Path(path).is_relative_to(installation.place.resolve()) for path in loaded):
        packages, _ = pinned.read_pins(debian.PINS)
        report.versions["libunwind"] = next(p.version.split("-")[0] for p in packages if p.name == "libunwind8")
    else:
        report.problems.append(
            f"Julia runs with {', '.join(loaded) or 'no libunwind'} in place of the libunwind in "
            f"{installation.place}, and will crash at an exception. Unset LD_PRELOAD, and take libunwind out of the "
            "loader's own configuration."
        )
