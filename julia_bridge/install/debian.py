"""Julia 1.5.3 and juliacall 0.9.26, for a machine that reaches only PyPI and Debian's packages.

bullseye holds the last Julia that Debian packaged. It is unpacked, not installed, with every library that it needs down
to those of C and C++ (`python -m tests.debian.pins` finds which), beside juliacall's source
distribution (the one that carries PythonCall.jl) and stand-ins for what it depends on. One folder holds it all:

    root/       the Debian packages            packages/   PythonCall (with juliacall) and the Julia stand-ins
    python/     the Python stand-in            depot/      Julia's compiled code
    project/    an empty Julia project         ready       written last: the versions that were seen to run

The folder's name ends in a hash of everything that went into it, so that a change of recipe is a new folder. A folder
without `ready` was not finished and is built again; downloads that are whole are kept for that.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath

from julia_bridge.errors import JuliaUnavailable
from julia_bridge.install import debian_archive, pinned
from julia_bridge.install.folder import folder, locked
from julia_bridge.process.child_process import JuliaProcess
from julia_bridge.process.installation import JuliaInstallation
from sharnn_py.files import write_text

PINS = Path(__file__).parent / "debian.json"
STANDINS = Path(__file__).parents[1] / "standins"
# Increase it when `_build` makes something else of the same files.
LAYOUT = 1
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/julia", "lib/x86_64-linux-gnu")


def find() -> JuliaInstallation | None:
    """The installation, if there is one. Reads a few small files and starts nothing."""
    place = folder() / _name()
    return _installation(place) if (place / "ready").is_file() else None


def install(progress: Callable[[str], None]) -> JuliaInstallation:
    """The installation; if there is none, everything is fetched, checked, unpacked and tried out (docs/julia.md).

    `progress` is called with a line on what is being done. Raises `JuliaUnavailable` if the machine is not an amd64
    Linux, a download cannot be had or has the wrong hash, or the Julia that was put together does not run.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise JuliaUnavailable(
            f"Debian's Julia packages are for Linux on x86_64, and this is {sys.platform} on {platform.machine()}."
        )
    with locked() as root:
        if installation := find():
            return installation
        downloads = root / "downloads"
        downloads.mkdir(exist_ok=True)
        _fetch(downloads, progress)
        place = root / _name()
        progress("unpacking")
        _build(downloads, place)
        progress("compiling PythonCall (a minute at most)")
        with JuliaProcess(_installation(place)) as process:
            versions = process.versions
        write_text(place / "ready", f"Julia {versions['julia']}, juliacall {versions['juliacall']}\n")
        shutil.rmtree(downloads)
        return _installation(place)


@cache
def _name() -> str:
    recipe = hashlib.sha256(bytes([LAYOUT]))
    for file in (PINS, *sorted(p for p in STANDINS.rglob("*") if p.suffix in (".jl", ".toml", ".py"))):
        recipe.update(file.name.encode() + file.read_bytes())
    return f"debian-{recipe.hexdigest()[:12]}"


def _installation(place: Path) -> JuliaInstallation:
    return JuliaInstallation(
        name="debian",
        place=place,
        python_path=(place / "python", place / "packages/PythonCall/pysrc"),
        environment={
            "LD_LIBRARY_PATH": ":".join(str(place / "root" / part) for part in LIBRARIES),
            "JULIA_DEPOT_PATH": str(place / "depot"),
            "JULIA_LOAD_PATH": f"@:{place / 'packages'}:@stdlib",
            "PYTHON_JULIAPKG_EXE": str(place / "root/usr/bin/julia"),
            "PYTHON_JULIAPKG_PROJECT": str(place / "project"),
            # At -O2 the LLVM 9 of this Julia sometimes aborts with "Illegal inttoptr".
            "PYTHON_JULIACALL_OPTIMIZE": "1",
        },
    )


def _fetch(downloads: Path, progress: Callable[[str], None]) -> None:
    packages, juliacall = pinned.read_pins(PINS)
    if absent := pinned.missing(packages, downloads):
        progress(f"fetching {len(absent)} packages of Debian bullseye")
        debian_archive.fetch(packages, downloads)
    if pinned.missing([juliacall], downloads):
        progress(f"fetching juliacall {juliacall.version}")
        _pip_download(juliacall, downloads)
    pinned.require([juliacall], downloads)


def _pip_download(pin: pinned.Pin, into: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        # Only the source distribution carries the Julia side.
        requirements.write(f"--no-binary {pin.name}\n{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n")
        requirements.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--dest", str(into), "--requirement", requirements.name]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        hint = " Install pip with `python -m ensurepip`." if "No module named pip" in done.stderr else ""
        raise JuliaUnavailable(f"pip could not fetch juliacall's source distribution:{hint}\n{done.stderr.strip()}")


def _build(downloads: Path, place: Path) -> None:
    """Unpack everything beside `place`, then move it there in one step."""
    packages, juliacall = pinned.read_pins(PINS)
    for left_over in (place, *place.parent.glob(".building-*")):
        shutil.rmtree(left_over, ignore_errors=True)
    beside = Path(tempfile.mkdtemp(dir=place.parent, prefix=".building-"))
    for pin in packages:
        debian_archive.unpack(downloads / pin.file, beside / "root")
    # The packaged library has no name without a version, which is the one that juliacall asks for.
    (beside / "root" / LIBRARIES[0] / "libjulia.so").symlink_to("libjulia.so.1")
    _unpack_juliacall(downloads / juliacall.file, beside / "packages" / "PythonCall")
    shutil.copytree(STANDINS / "julia", beside / "packages", dirs_exist_ok=True)
    shutil.copytree(STANDINS / "python", beside / "python")
    (beside / "project").mkdir()
    (beside / "project" / "Project.toml").touch()
    beside.rename(place)


def _unpack_juliacall(archive: Path, into: Path) -> None:
    """Unpack both halves of juliacall: `src/` and `Project.toml` are the Julia package, `pysrc/` the Python one."""
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            wanted = inside.parts[:1] in (("src",), ("pysrc",), ("Project.toml",))
            if wanted and (content := tar.extractfile(member)):
                (into / inside).parent.mkdir(parents=True, exist_ok=True)
                (into / inside).write_bytes(content.read())
