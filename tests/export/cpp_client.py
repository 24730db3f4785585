"""The C++ of the docs, built by Zig's compiler, which pip installs, against the library in onnxruntime's wheel."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from julia_bridge.install.folder import folder as private_folder

SOURCE = Path(__file__).parents[2] / "docs" / "examples" / "serve.cpp"
COMPILER = [sys.executable, "-m", "ziglang", "c++", "-fno-sanitize=undefined"]


def build(folder: Path) -> Path:
    """The program, written to `folder` with a link to the wheel's library under the name that it is loaded by."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    (library,) = (Path(spec.origin).parent / "capi").glob("libonnxruntime.so.*")
    (folder / "libonnxruntime.so.1").symlink_to(library)
    program = folder / "serve"
    cache = str(private_folder("zig"))
    options = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{folder}"]
    subprocess.run(
        [*COMPILER, *options, "-o", program, SOURCE, folder / "libonnxruntime.so.1"],
        check=True,
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache},
    )
    return program


def serve(program: Path, *arguments: object) -> tuple[int, str, str]:
    """How the program ends with these arguments, and what it prints."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr
