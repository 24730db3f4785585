"""Building `pretend_cuda.c` into the libraries that the installed onnxruntime's CUDA provider asks for.

On them the provider loads where there is no GPU. It computes nothing, but its own partitioner says where every node
goes, and the host's side of serving (device buffers, bindings, CUDA graphs) runs as it would.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path) -> None:
    """Write the libraries to `folder`, which LD_LIBRARY_PATH then has to name. Needs gcc and its objdump."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    provider = Path(spec.origin).parent / "capi" / "libonnxruntime_providers_cuda.so"
    table = subprocess.run(["objdump", "-T", provider], capture_output=True, text=True, check=True).stdout
    wanted: dict[str, set[str]] = defaultdict(set)
    for library, symbol in re.findall(r"\*UND\*.*\((lib\w+\.so\.\d+)\)\s+(\w+)$", table, re.MULTILINE):
        wanted[library].add(symbol)
    wanted = {library: names for library, names in wanted.items() if library.startswith(("libcuda", "libcublas"))}
    # These are asked for without a version, or found by name while it runs.
    wanted["libcuda.so.1"] = {"cuInit", *re.findall(r"\*UND\*.*\s(cu[A-Z]\w+)$", table, re.MULTILINE)}
    wanted["libcurand.so.10"] = {"curandCreateGenerator"}
    names = re.findall(rb"\0(cudnn[A-Z]\w+)(?=\0)", provider.read_bytes())
    wanted["libcudnn.so.9"] = {name.decode() for name in names}
    for library, symbols in wanted.items():
        _compile(folder, library, symbols)


def _compile(folder: Path, library: str, symbols: set[str]) -> None:
    written = SOURCE.read_text()
    bodies = set(re.findall(r"^[\w *]*?\b(\w+)\([^;]*?\)\s*\{", written, re.MULTILINE))
    rest = "".join(
        f"int {name}(void **made) {{ *made = calloc(1, 4096); return 0; }}\n"
        if name.startswith("cudnnCreate")
        else f"long {name}(void) {{ return 0; }}\n"
        for name in sorted(symbols - bodies)
    )
    source, versions = folder / f"{library}.c", folder / f"{library}.map"
    source.write_text(written + rest)
    versions.write_text(f"{library} {{ global: *; }};\n")
    command = ["gcc", "-w", "-shared", "-fPIC", "-o", folder / library, source, f"-Wl,-soname,{library}"]
    subprocess.run([*command, f"-Wl,--version-script,{versions}"], check=True)
