"""Which Julia to use, and getting one.

`SHARNN_JULIA_LANE` (juliapkg or debian) decides if it is set. Otherwise an installation that is there is used,
juliapkg's first. Where there is none, juliapkg is tried if this environment has juliacall, then Debian's packages.
"""

import os
from collections.abc import Callable
from types import ModuleType

from julia_bridge.errors import JuliaUnavailable
from julia_bridge.install import debian, juliapkg
from julia_bridge.process.installation import JuliaInstallation
from sharnn_py.errors import ConfigError

WAYS: dict[str, ModuleType] = {"juliapkg": juliapkg, "debian": debian}


def candidates() -> list[str]:
    """The ways to Julia that may be used, in the order in which they are tried.

    Raises `ConfigError` if SHARNN_JULIA_LANE names neither.
    """
    chosen = os.environ.get("SHARNN_JULIA_LANE")
    if chosen is None:
        return list(WAYS)
    if chosen not in WAYS:
        raise ConfigError(f"SHARNN_JULIA_LANE is {chosen!r}: give juliapkg or debian, or leave it unset.")
    return [chosen]


def find() -> JuliaInstallation:
    """The installation to use. Takes milliseconds; nothing is started or fetched.

    Raises `JuliaUnavailable` if there is none.
    """
    for name in candidates():
        installation: JuliaInstallation | None = WAYS[name].find()
        if installation is not None:
            return installation
    raise JuliaUnavailable("Julia is not installed for sharnn. `sharnn julia install` does it, without root.")


def ensure(progress: Callable[[str], None] | None = None) -> JuliaInstallation:
    """The installation to use, made first if need be. `progress` is called with a line on whatever takes a while.

    Raises `JuliaUnavailable` if Julia cannot be had, saying why in each of the ways that were tried.
    """
    tell = progress or (lambda line: None)
    names = candidates()
    try:
        return find()
    except JuliaUnavailable:
        pass
    if len(names) > 1 and not juliapkg.has_juliacall():
        names.remove("juliapkg")
    problems = []
    for name in names:
        try:
            installation: JuliaInstallation = WAYS[name].install(tell)
            return installation
        except (JuliaUnavailable, OSError) as problem:
            problems.append(f"{name}: {problem}")
            if name != names[-1]:
                tell(f"{problems[-1]}\ntrying another way")
    raise JuliaUnavailable("no way of getting Julia works on this machine.\n" + "\n".join(problems))
