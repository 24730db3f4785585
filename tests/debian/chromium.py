"""Chromium and its driver: this machine's own where they work, else Debian's, unpacked into a private folder.

It lies in `~/.cache/sharnn/chromium`, or `$SHARNN_CHROMIUM_DIR`. Debian replaces its Chromium every few weeks, so no
version is pinned: the one that the machine's own release holds is taken.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.debian.unpacked import library_folders, unpacked

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
    search = ":".join(map(str, library_folders(root)))
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
    """The folder with Debian's Chromium. Raises `JuliaUnavailable`, which says why, if it cannot be had."""
    root = unpacked("chromium", ROOTS)
    (root / "fonts.conf").write_text(FONTS.format(root=root))
    return root
