"""Chromium and its driver: this machine's own where they work, else Debian's, unpacked into a private folder.

It lies in `~/.cache/sharnn/chromium`, or `$SHARNN_CHROMIUM_DIR`, and is used from then on. Debian replaces its Chromium
every few weeks, so no version is pinned: the one that the machine's own release holds is taken, with the libraries and
the font that it needs, each file checked against the release's signed lists.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from julia_bridge import JuliaUnavailable
from julia_bridge.install import debian_archive
from julia_bridge.install.folder import folder, locked
from julia_bridge.process.libraries import missing_libraries
from tests.debian.suite import closure, packages

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

ROOTS = ("chromium", "chromium-common", "chromium-driver", "fonts-dejavu-core")
BROWSER, DRIVER = "usr/lib/chromium/chromium", "usr/bin/chromedriver"
FLAGS = (
    "--headless",
    # As root, and where users may not make namespaces, there is no sandbox; the pages are our own.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{root}/usr/share/fonts</dir><cachedir>{root}/var/cache/fontconfig</cachedir></fontconfig>
"""


def start(profile: Path) -> Chrome:
    """A driver of a headless Chromium that keeps everything in the folder `profile`.

    Raises `JuliaUnavailable` if there is none that works and `install` can get none.
    """
    from selenium.common import WebDriverException

    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser and driver:
        try:
            return _drive(Path(browser), Path(driver), profile / "system", {})
        except WebDriverException as problem:
            print(f"this machine's own Chromium does not work: {problem.msg}")
    root = install()
    search = ":".join(map(str, _library_folders(root)))
    own = {"LD_LIBRARY_PATH": search, "FONTCONFIG_FILE": str(root / "fonts.conf")}
    return _drive(root / BROWSER, root / DRIVER, profile / "private", own)


def _drive(browser: Path, driver: Path, profile: Path, environment: dict[str, str]) -> Chrome:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    profile.mkdir()
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"), str(profile))
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser)
    for flag in (*FLAGS, f"--user-data-dir={profile / 'data'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(str(driver), env={**os.environ, **homes, **environment}))


def install() -> Path:
    """The folder with Debian's Chromium, fetched and unpacked unless it is there.

    Raises `JuliaUnavailable`, which says why, if this machine has no apt, knows no Debian archive, or its release has
    no Chromium.
    """
    place = folder("chromium") / "root"
    with locked("chromium") as top:
        if place.is_dir():
            return place
        with tempfile.TemporaryDirectory(dir=top, prefix=".lists-") as scratch:
            available = packages(_release(), Path(scratch))
        if absent := [root for root in ROOTS if root not in available]:
            raise JuliaUnavailable(f"Debian {_release()} has no package {', '.join(absent)}")
        pins = closure(available, ROOTS)
        downloads = top / "downloads"
        downloads.mkdir(exist_ok=True)
        print(f"fetching Chromium {available['chromium']['Version']} and {len(pins) - 1} packages that it needs")
        debian_archive.fetch(pins, downloads)
        beside = Path(tempfile.mkdtemp(dir=top, prefix=".building-"))
        for pin in pins:
            debian_archive.unpack(downloads / pin.file, beside)
        (beside / "fonts.conf").write_text(FONTS.format(root=place))
        if lacking := missing_libraries(beside, _library_folders(beside)):
            raise JuliaUnavailable(f"Debian's Chromium needs libraries that its packages do not name: {lacking}")
        beside.rename(place)
        shutil.rmtree(downloads)
    return place


def _release() -> str:
    """The name of the Debian release that this machine runs; of one that suits any newer machine where it runs none."""
    release = platform.freedesktop_os_release()
    return release["VERSION_CODENAME"] if release["ID"] == "debian" else "bookworm"


def _library_folders(root: Path) -> list[Path]:
    """Some libraries lie in folders of their own, which their users name as they are on an installed system."""
    return sorted({file.parent for file in root.rglob("*.so*")})
