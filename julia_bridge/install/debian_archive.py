"""Packages of any Debian suite, fetched and unpacked into a private folder, without root; the system is not changed.

A package is fetched by its path in the archive and known by its sha256, so neither lists nor keys of its suite are
needed. The archive's address comes from the machine's own apt sources, and apt fetches, with the proxies and
credentials it is set up with; a machine without apt fetches over HTTP from the archive that it is told of.
"""

import http.client
import io
import os
import re
import subprocess
import tarfile
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from julia_bridge.errors import JuliaUnavailable
from julia_bridge.install.pinned import Pin, missing, require

VARIABLE = "SHARNN_DEBIAN_ARCHIVE"
"""Environment variable: the address of a Debian archive, to use in place of the one in apt's sources."""

APT_HELPER = Path("/usr/lib/apt/apt-helper")
ANSWER_LIMIT = 60.0
"""Seconds for which an archive may send nothing."""


def archives() -> list[str]:
    """The addresses of the Debian archives that this machine knows of. Raises `JuliaUnavailable` if there are none."""
    if given := os.environ.get(VARIABLE):
        return [given.rstrip("/")]
    if addresses := addresses_in_apt_sources():
        return addresses
    raise JuliaUnavailable(
        "no Debian archive in this machine's apt sources (/etc/apt/sources.list, /etc/apt/sources.list.d): give the "
        f"address of one, that is, of the folder that holds dists/ and pool/, in the environment variable {VARIABLE}."
    )


def addresses_in_apt_sources(etc: Path = Path("/etc/apt")) -> list[str]:
    """The addresses that apt gets component `main` of a whole suite from, in apt's order, each once.

    Reads the one-line format (`sources.list`, `*.list`) and deb822 (`*.sources`) under `etc`. Suites with a dash or a
    slash (updates, security, other vendors' mixtures) are passed over: their address need not hold a release.
    """
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    found: dict[str, None] = {}
    for file in files:
        if not file.is_file() or file.suffix not in (".list", ".sources"):
            continue
        entries = _deb822(file.read_text()) if file.suffix == ".sources" else _one_line(file.read_text())
        for addresses, suites, components in entries:
            if "main" in components and any(re.fullmatch(r"\w+", suite) for suite in suites):
                found.update(dict.fromkeys(a.rstrip("/") for a in addresses if not a.startswith("cdrom:")))
    return list(found)


def _one_line(text: str) -> Iterator[tuple[list[str], list[str], list[str]]]:
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", "", line.split("#")[0]).split()
        if len(words) >= 4 and words[0] == "deb":
            yield [words[1]], [words[2]], words[3:]


def _deb822(text: str) -> Iterator[tuple[list[str], list[str], list[str]]]:
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", text):
        unfolded = re.sub(r"\n[ \t]+", " ", paragraph)
        fields = {name.lower(): value.split() for name, _, value in (li.partition(":") for li in unfolded.splitlines())}
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() != "no":
            yield fields.get("uris", []), fields.get("suites", []), fields.get("components", [])


def fetch(packages: Sequence[Pin], into: Path) -> None:
    """Fetch `packages` into the folder `into`, except those that are there, and check their hashes.

    Raises `JuliaUnavailable`, with the archives' answers, if no archive that this machine knows of has them all, or if
    one sends files with other hashes; such files are removed.
    """
    complaints = []
    for address in archives():
        wanted = missing(packages, into)
        problem = (_with_apt if APT_HELPER.exists() else _over_http)(address, wanted, into) if wanted else None
        if problem is None:
            return require(packages, into)
        complaints.append(f"{address}: {problem}")
    raise JuliaUnavailable(
        "these Debian archives do not have every package that is needed:\n" + "\n".join(complaints) + "\nIf another "
        f"archive has them, give its address in the environment variable {VARIABLE}."
    )


def _with_apt(address: str, packages: Sequence[Pin], into: Path) -> str | None:
    """What apt complained about, or None if it fetched everything."""
    command = [str(APT_HELPER), "-o", "Acquire::Retries=3"]
    if os.geteuid() == 0:
        # apt's own user may not write where ours may.
        command += ["-o", "APT::Sandbox::User=root"]
    command.append("download-file")
    for pin in packages:
        command += [f"{address}/{pin.path}", str(into / pin.file), ""]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        return None
    return done.stderr.strip() or f"apt-helper ended with status {done.returncode}"


def _over_http(address: str, packages: Sequence[Pin], into: Path) -> str | None:
    """What was answered in place of a package, or None if everything was fetched."""
    for pin in packages:
        url = f"{address}/{pin.path}"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_LIMIT) as answer:
                (into / pin.file).write_bytes(answer.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"{url}: {error}"
    return None


def unpack(package: Path, into: Path) -> None:
    """Unpack the files of a .deb below the folder `into`, as `dpkg -x` does, but without set-id bits."""
    with tarfile.open(fileobj=io.BytesIO(_data(package.read_bytes()))) as tar:
        # The packages are known by their hashes, and Debian's links may lead anywhere.
        tar.extraction_filter = lambda member, path: member
        for member in tar:
            member.mode &= 0o777
            tar.extract(member, into)


def _data(deb: bytes) -> bytes:
    """The member of the `ar` archive that holds the package's files, still compressed."""
    at = len(b"!<arch>\n")
    while at < len(deb):
        name, size = deb[at : at + 16].decode().strip(), int(deb[at + 48 : at + 58])
        at += 60
        if name.startswith("data.tar"):
            return deb[at : at + size]
        at += size + size % 2
    raise ValueError("a .deb without files")
