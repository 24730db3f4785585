"""enwik8, the first 100 million bytes of an English Wikipedia, and its split: 90 million bytes, 5 million, 5 million.

The file and its SHA-1 are those of Matt Mahoney's page on his test data (mattmahoney.net/dc/textdata.html); both
programs' `getdata.sh` cut it so.
"""

from __future__ import annotations

import hashlib
import io
import os
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from sharnn_py.errors import InputError
from sharnn_py.files import write_bytes
from sharnn_py.trainer.corpus import Corpus, Unit, split_corpus

NAME = "enwik8"
ADDRESS = "http://mattmahoney.net/dc/enwik8.zip"
SHA1 = "57b8363b814821dc9d47aa4d41f58733519076b2"
TRAIN, VALID = 90_000_000, 95_000_000


def enwik8(unit: Unit) -> Corpus:
    """enwik8, from the cache or else fetched: held out is its second to last part, tested on the last.

    Raises `InputError` if it cannot be fetched, or if what came is another file.
    """
    path = cached()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, fetched(ADDRESS))
    data = path.read_bytes()
    _check(data, f"{path}; remove it, and it will be fetched anew")
    return split_corpus(data[:TRAIN], data[TRAIN:VALID], unit, NAME, data[VALID:])


def cached() -> Path:
    """Where enwik8 is kept."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sharnn" / NAME


def fetched(address: str) -> bytes:
    """The bytes of enwik8 from the archive at `address`, checked. Raises `InputError`."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            archive = answer.read()
        data = zipfile.ZipFile(io.BytesIO(archive)).read(NAME)
    except (OSError, urllib.error.URLError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"{NAME} could not be fetched from {address}: {error}. Put the unpacked file at {cached()}, or "
            "give a text of your own"
        ) from error
    _check(data, f"what came from {address}")
    return data


def _check(data: bytes, where: str) -> None:
    found = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    if found != SHA1:
        raise InputError(f"this is not {NAME}, whose SHA-1 is {SHA1}, but {len(data):,} bytes with {found}: {where}")
