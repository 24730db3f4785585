"""Zig's compiler of C and C++, which pip installs."""

from __future__ import annotations

import os
import subprocess
import sys

from julia_bridge.install.folder import folder as private_folder


def compiled(language: str, *arguments: object) -> None:
    """Run `zig cc` or `zig c++` with these arguments. Raises `CalledProcessError` for what does not compile."""
    cache = str(private_folder("zig"))
    # Without its sanitizer, whose run-time library takes half a minute to build the first time.
    subprocess.run(
        [sys.executable, "-m", "ziglang", language, "-fno-sanitize=undefined", *arguments],
        check=True,
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
    )
