"""Which shared libraries a folder of unpacked programs asks for and does not hold, read from the files themselves."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

FROM_THE_SYSTEM = {
    *("ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1"),
    *("libresolv.so.2", "libgcc_s.so.1", "libstdc++.so.6"),
}
"""The C and C++ libraries, which every machine with Python and torch has, and of which a process can load only one."""


def missing_libraries(root: Path, search: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each file below `root` that needs a shared library which is missing, with the library's name.

    A library is missing if it is in none of the folders `search`, nor beside the file that needs it. The C and C++
    libraries come from the system.
    """
    held = {path.name for folder in search if folder.is_dir() for path in folder.iterdir() if path.exists()}
    return [
        (file, name)
        for file in _files(root)
        for name in needed(file)
        if name not in held and name not in FROM_THE_SYSTEM and not (file.parent / name).exists()
    ]


def _files(root: Path) -> Iterator[Path]:
    for folder, _, names in sorted(os.walk(root)):
        yield from (path for name in sorted(names) if not (path := Path(folder, name)).is_symlink())


def needed(file: Path) -> list[str]:
    """The shared libraries that a file asks the loader for; none if it is not a dynamically linked ELF file."""
    with file.open("rb") as opened:
        try:
            dynamic = ELFFile(opened).get_section_by_name(".dynamic")
        except ELFError:
            return []
        if not isinstance(dynamic, DynamicSection):
            return []
        return [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")]  # type: ignore[attr-defined]
