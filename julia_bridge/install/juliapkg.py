"""Julia on an ordinary machine: juliapkg finds or installs it, and PythonCall, as juliapkg.json says.

juliapkg decides where they lie; only a note that they work is kept in the bridge's folder.
"""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from julia_bridge.errors import JuliaUnavailable
from julia_bridge.install.folder import folder, locked
from julia_bridge.process.child_process import JuliaProcess
from julia_bridge.process.installation import JuliaInstallation
from sharnn_py.files import write_text

RESOLVE = """
import json, juliapkg
juliapkg.resolve()
print(json.dumps({"executable": juliapkg.executable(), "project": juliapkg.project()}))
"""


def has_juliacall() -> bool:
    """Whether this Python environment has juliacall, which brings juliapkg."""
    return importlib.util.find_spec("juliacall") is not None


def find() -> JuliaInstallation | None:
    """The installation that was made from this Python environment, if its Julia is still there."""
    note = _note()
    if not has_juliacall() or not note.is_file():
        return None
    content = json.loads(note.read_text())
    return _installation(content) if Path(content["executable"]).exists() else None


def install(progress: Callable[[str], None]) -> JuliaInstallation:
    """Have juliapkg resolve and install, unless that was done. Julia is some 250 MB to download where there is none.

    `progress` is called with a line on what is being done. Raises `JuliaUnavailable` if juliacall is not installed,
    juliapkg cannot provide a Julia, or the one it provides does not run.
    """
    if not has_juliacall():
        raise JuliaUnavailable("juliacall is not installed in this Python environment: `pip install juliacall`.")
    with locked():
        if installation := find():
            return installation
        progress("letting juliapkg find or install Julia 1.10 or newer")
        done = subprocess.run(
            [sys.executable, "-c", RESOLVE], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise JuliaUnavailable(f"juliapkg could not provide Julia: {reason}")
        content = json.loads(done.stdout.strip().splitlines()[-1])
        progress("compiling PythonCall")
        installation = _installation(content)
        with JuliaProcess(installation):
            write_text(_note(), json.dumps(content) + "\n")
        return installation


def _note() -> Path:
    environment = hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]
    return folder() / f"juliapkg-{environment}.json"


def _installation(content: dict[str, str]) -> JuliaInstallation:
    # What a user has set stays. Without Julia's own signal handling its collector crashes a process with threads.
    defaults = {"PYTHON_JULIACALL_HANDLE_SIGNALS": "yes"}
    environment = {name: os.environ.get(name, value) for name, value in defaults.items()}
    return JuliaInstallation(name="juliapkg", place=Path(content["project"]), environment=environment)
