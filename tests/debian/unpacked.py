"""Programs and libraries of Debian's, unpacked into a private folder: no root, and nothing of the system is touched.

They are those that the machine's own release holds, with the libraries and fonts that they need, each file checked
against the release's signed lists.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from julia_bridge import JuliaUnavailable
from julia_bridge.install import debian_archive
from julia_bridge.install.folder import folder, locked
from julia_bridge.process.libraries import missing_libraries
from tests.debian.suite import closure, packages


def unpacked(name: str, roots: Collection[str]) -> Path:
    """The folder with packages `roots` and what they need, fetched and unpacked unless it is there.

    It lies in `~/.cache/sharnn/NAME`, or `$SHARNN_NAME_DIR`, and is used from then on. Raises `JuliaUnavailable`, which
    says why, if this machine has no apt, knows no Debian archive, or its release has no such package.
    """
    place = folder(name) / "root"
    with locked(name) as top:
        if place.is_dir():
            return place
        release = _release()
        with tempfile.TemporaryDirectory(dir=top, prefix=".lists-") as scratch:
            available = packages(release, Path(scratch))
        if absent := [root for root in roots if root not in available]:
            raise JuliaUnavailable(f"Debian {release} has no package {', '.join(absent)}")
        pins = closure(available, roots)
        downloads = top / "downloads"
        downloads.mkdir(exist_ok=True)
        print(f"fetching {', '.join(roots)} of Debian {release}, {len(pins)} packages with what they need")
        debian_archive.fetch(pins, downloads)
        beside = Path(tempfile.mkdtemp(dir=top, prefix=".building-"))
        for pin in pins:
            debian_archive.unpack(downloads / pin.file, beside)
        if lacking := missing_libraries(beside, library_folders(beside)):
            raise JuliaUnavailable(
                f"{', '.join(roots)} of Debian {release} need libraries that they do not name: {lacking}"
            )
        beside.rename(place)
        shutil.rmtree(downloads)
    return place


def library_folders(root: Path) -> list[Path]:
    """Some libraries lie in folders of their own, which their users name as they are on an installed system."""
    return sorted({file.parent for file in root.rglob("*.so*")})


def _release() -> str:
    """The name of the Debian release that this machine runs; of one that suits any newer machine where it runs none."""
    release = platform.freedesktop_os_release()
    return release["VERSION_CODENAME"] if release["ID"] == "debian" else "bookworm"
