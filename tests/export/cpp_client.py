"""The C++ of the docs, built against the library in onnxruntime's wheel.

The compiler is the machine's, or without one Zig's, which pip installs: it first builds a C++ library of its own, in
three quarters of a minute, which a machine's compiler comes with.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from tests.export.zig import compiled

SOURCE = Path(__file__).parents[2] / "docs" / "examples" / "serve.cpp"


def build(folder: Path) -> Path:
    """The program, written to `folder` with a link to the wheel's library under the name that it is loaded by."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    (library,) = (Path(spec.origin).parent / "capi").glob("libonnxruntime.so.*")
    (folder / "libonnxruntime.so.1").symlink_to(library)
    program = folder / "serve"
    options = ["-std=c++17", "-O0", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{folder}"]
    arguments = [*options, "-o", program, SOURCE, folder / "libonnxruntime.so.1"]
    if found := shutil.which("c++"):
        subprocess.run([found, *arguments], check=True)
    else:
        compiled("c++", *arguments)
    return program


def serve(program: Path, *arguments: object) -> tuple[int, str, str]:
    """How the program ends with these arguments, and what it prints."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr
