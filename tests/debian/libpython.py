"""The shared library of this Python, which a program that embeds it needs, and which Debian's Python runs without."""

from __future__ import annotations

import ctypes.util
import sys
import sysconfig
from pathlib import Path

from tests.debian.unpacked import library_folders, unpacked


def folders() -> list[Path]:
    """Folders for `LD_LIBRARY_PATH`; none where the loader finds the library by itself.

    Raises `JuliaUnavailable` if neither this Python nor Debian's archive has it.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    beside = Path(sysconfig.get_config_var("LIBDIR"))
    if (beside / f"lib{name}.so.1.0").exists():
        return [beside]
    return [] if ctypes.util.find_library(name) else library_folders(unpacked("libpython", [f"lib{name}"]))
