"""Building `pretend_cuda.c` into the libraries that the installed onnxruntime's CUDA provider asks for.

On them the provider loads where there is no GPU. It computes nothing, but its own partitioner says where every node
goes, and the host's side of serving (device buffers, bindings, CUDA graphs) runs as it would. The C compiler is Zig's,
which pip installs.
"""

from __future__ import annotations

import importlib.util
import re
from collections import defaultdict
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tests.export.zig import compiled

SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path) -> None:
    """Write the libraries to `folder`, which LD_LIBRARY_PATH then has to name."""
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    provider = Path(spec.origin).parent / "capi" / "libonnxruntime_providers_cuda.so"
    asked = _symbols_by_version(provider)
    wanted = {version: names for version, names in asked.items() if version.startswith(("libcuda", "libcublas"))}
    # These are asked for without a version, or found by name while it runs.
    wanted["libcuda.so.1"] = {"cuInit", *(name for name in asked[""] if re.match("cu[A-Z]", name))}
    wanted["libcurand.so.10"] = {"curandCreateGenerator"}
    names = re.findall(rb"\0(cudnn[A-Z]\w+)(?=\0)", provider.read_bytes())
    wanted["libcudnn.so.9"] = {name.decode() for name in names}
    for library, symbols in wanted.items():
        _compile(folder, library, symbols)


def _symbols_by_version(library: Path) -> dict[str, set[str]]:
    """The symbols that `library` asks others for, by version; CUDA's libraries call it as they are called."""
    asked: dict[str, set[str]] = defaultdict(set)
    with library.open("rb") as file:
        elf = ELFFile(file)
        symbols, versions, names = map(elf.get_section_by_name, (".dynsym", ".gnu.version", ".gnu.version_r"))
        for number, symbol in enumerate(symbols.iter_symbols()):
            if symbol["st_shndx"] == "SHN_UNDEF":
                version = versions.get_symbol(number)["ndx"]
                asked[names.get_version(version)[1].name if isinstance(version, int) else ""].add(symbol.name)
    return asked


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
    linking = [f"-Wl,-soname,{library}", f"-Wl,--version-script,{versions}"]
    compiled("cc", "-w", "-shared", "-fPIC", "-o", folder / library, source, *linking)
