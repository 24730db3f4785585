"""The packages of a Debian suite, by its signed lists, and those that a program needs which is unpacked, not installed.

apt keeps the lists in a private folder and checks them with the machine's keys, without root and without touching the
system.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from julia_bridge import JuliaUnavailable
from julia_bridge.install.debian_archive import archives
from julia_bridge.install.pinned import Pin

KEYRINGS = ("debian-archive-keyring.gpg", "debian-archive-removed-keys.gpg")

FROM_THE_SYSTEM = {"libc6", "libgcc-s1", "libstdc++6"}
"""Packages that are never unpacked: a process can load only one of each, and every machine has them."""

FOLLOWED = {"libs", "oldlibs", "fonts"}
"""The sections that dependencies are followed into. The others hold what serves only an installed system."""

Package = Mapping[str, str]


def packages(suite: str, scratch: Path) -> dict[str, Package]:
    """The fields of every amd64 package in component `main` of `suite`, by name.

    `scratch` is a folder for apt. Raises `JuliaUnavailable` with apt's own words if no archive in the machine's sources
    has the suite.
    """
    if shutil.which("apt-get") is None:
        raise JuliaUnavailable(f"the lists of Debian {suite} cannot be had: there is no apt-get on the PATH")
    complaints = []
    for address in archives():
        configuration = _configure(scratch, address, suite)
        done = subprocess.run(
            ["apt-get", "-c", configuration, "-q", "-o", "APT::Update::Error-Mode=any", "update"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            listed = subprocess.check_output(["apt-cache", "-c", configuration, "dumpavail"], text=True)
            paragraphs = (dict(re.findall(r"^(\S+): (.*)$", text, re.M)) for text in listed.split("\n\n"))
            return {fields["Package"]: fields for fields in paragraphs if "Package" in fields}
        complaints.append(f"{address}: {done.stderr.strip()}")
    raise JuliaUnavailable(f"the lists of Debian {suite} cannot be had:\n" + "\n".join(complaints))


def _configure(scratch: Path, address: str, suite: str) -> Path:
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    keyrings = [str(path) for name in KEYRINGS if (path := Path("/usr/share/keyrings", name)).exists()]
    options = f"[signed-by={','.join(keyrings)}] " if keyrings else ""
    (scratch / "sources.list").write_text(f"deb {options}{address} {suite} main\n")
    configuration = scratch / "apt.conf"
    # The hooks cleared here are the system's: they tidy or index what belongs to it.
    configuration.write_text(
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
        APT::Sandbox::User "";
        Acquire::Languages "none";
        Acquire::Retries "3";
        """
    )
    return configuration


def closure(available: Mapping[str, Package], roots: Iterable[str]) -> list[Pin]:
    """`roots` and all the libraries and fonts that they depend on, directly or not, sorted by name."""
    providers: dict[str, list[str]] = {}
    for name, fields in available.items():
        for provided in _names(fields.get("Provides", "").replace(",", "|")):
            providers.setdefault(provided, []).append(name)
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for field in ("Depends", "Pre-Depends"):
            for alternatives in available[name].get(field, "").split(","):
                candidates = [real for wanted in _names(alternatives) for real in (wanted, *providers.get(wanted, ()))]
                if FROM_THE_SYSTEM.isdisjoint(candidates) and found.isdisjoint(candidates):
                    held = [candidate for candidate in candidates if candidate in available]
                    waiting += [first for first in held[:1] if available[first].get("Section") in FOLLOWED]
    return [_pin(available[name]) for name in sorted(found)]


def _names(alternatives: str) -> list[str]:
    """The names in alternatives such as `a (>= 1) | b:any`."""
    return [match[0] for part in alternatives.split("|") if (match := re.match(r"[^\s(:]+", part.strip()))]


def _pin(fields: Package) -> Pin:
    return Pin(fields["Package"], fields["Version"], fields["Filename"], fields["SHA256"])
