"""Packages of another Debian suite, fetched by apt into a folder of one's own: no root, nothing of the system touched.

The archive's address comes from the machine's own apt sources; only the suite is exchanged. apt keeps its lists and
cache in a private folder and checks the archive's signature with the keyrings the machine has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from julia_bridge.errors import JuliaUnavailable

KEYRINGS = tuple(
    Path("/usr/share/keyrings") / name for name in ("debian-archive-keyring.gpg", "debian-archive-removed-keys.gpg")
)


def archive_addresses(etc: Path = Path("/etc/apt")) -> list[str]:
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


def download(packages: Sequence[str], suite: str, into: Path, scratch: Path) -> None:
    """Fetch `packages` (each `name=version`) of `suite` as .deb files into the folder `into`.

    `scratch` holds apt's configuration, lists and cache. Raises `JuliaUnavailable` with apt's own words if no address
    of the machine's sources has them.
    """
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise JuliaUnavailable(f"{tool} is not on PATH: this way to Julia needs a Debian machine's apt and dpkg.")
    addresses = archive_addresses()
    if not addresses:
        raise JuliaUnavailable(
            "no Debian archive in this machine's apt sources (/etc/apt/sources.list, /etc/apt/sources.list.d): "
            "add the entry that Debian installs by default, or install Julia 1.10 or newer and juliacall yourself."
        )
    complaints = []
    for address in addresses:
        config = _configure(scratch, address, suite)
        problem = _apt(config, into, "update") or _apt(config, into, "download", *packages)
        if problem is None:
            return
        complaints.append(f"{address} {suite}: {problem}")
    raise JuliaUnavailable("apt could not fetch Debian's Julia packages:\n" + "\n".join(complaints))


def _configure(scratch: Path, address: str, suite: str) -> Path:
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    keyrings = ",".join(str(path) for path in KEYRINGS if path.exists())
    options = f"[signed-by={keyrings}] " if keyrings else ""
    (scratch / "sources.list").write_text(f"deb {options}{address} {suite} main\n")
    config = scratch / "apt.conf"
    # The hooks cleared here are the system's: they tidy or index what belongs to it.
    config.write_text(
        f"""
        #clear APT::Update;
        #clear DPkg::Post-Invoke;
        Dir::Etc::SourceList "{scratch}/sources.list";
        Dir::Etc::SourceParts "-";
        Dir::State "{scratch}";
        Dir::State::Lists "{scratch}/lists";
        Dir::State::status "/dev/null";
        Dir::Cache "{scratch}/cache";
        APT::Architecture "amd64";
        APT::Architectures {{ "amd64"; }};
        APT::Sandbox::User "{"root" if os.geteuid() == 0 else ""}";
        Acquire::Languages "none";
        Acquire::Retries "3";
        """
    )
    return config


def _apt(config: Path, folder: Path, *arguments: str) -> str | None:
    """What apt complained about, or None if it did what it was asked."""
    command = ["apt-get", "-c", str(config), "-q", "-o", "APT::Update::Error-Mode=any", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E:", "W:", "Err:"))]
    return "\n".join(lines) or f"apt-get {arguments[0]} ended with status {done.returncode}"
