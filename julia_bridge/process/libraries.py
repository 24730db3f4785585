"""Which shared libraries a folder of unpacked programs asks for and does not hold, read from the files themselves."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

FROM_THE_SYSTEM = {
    *("ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1"),
    *("libresolv.so.2", "libgcc_s.so.1", "libstdc++.so.6"),
}
"""The C and C++ libraries, which every machine with Python and torch has, and of which a process can load only one."""

LOAD, DYNAMIC = 1, 2
END, NEEDED, STRING_TABLE = 0, 1, 5


def missing_libraries(root: Path, search: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each file below `root` that needs a shared library which is in none of the folders `search`, with its name.

    Beside `search` a library may lie beside the file that needs it, and the C and C++ libraries come from the system.
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
    """The shared libraries that a file asks the loader for; none if it is no 64-bit little-endian ELF file."""
    with file.open("rb") as opened:
        if opened.read(6) != b"\x7fELF\x02\x01":
            return []
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return list(_needed(content))


def _needed(elf: mmap.mmap) -> Iterator[str]:
    (table,) = struct.unpack_from("<Q", elf, 32)
    entry_size, count = struct.unpack_from("<HH", elf, 54)
    # Of each segment: its type, where it lies in the file and in memory, and its size in the file.
    segments = [struct.unpack_from("<I4xQQ8xQ", elf, table + entry_size * i) for i in range(count)]
    for kind, start, _, size in segments:
        if kind == DYNAMIC and size:
            entries = list(struct.iter_unpack("<qQ", elf[start : start + size]))
            address = next(value for tag, value in entries if tag == STRING_TABLE)
            strings = next(o + address - a for k, o, a, s in segments if k == LOAD and a <= address < a + s)
            for tag, value in entries:
                if tag == END:
                    return
                if tag == NEEDED:
                    at = strings + value
                    yield elf[at : elf.find(b"\0", at)].decode()
