"""Manifests that were changed by someone who covers it up: with the right hash of their own, and of files."""

import hashlib
import json

from export.manifest import describe_files


def edit(folder, change):
    """Let `change` change the manifest's values in place, and correct the manifest's own hash."""
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    write_signed(path, values)


def write_signed(path, values):
    zeros = "0" * 64
    text = json.dumps({**values, "sha256": zeros})
    path.write_text(text.replace(zeros, hashlib.sha256(text.encode()).hexdigest()))


def rehash(folder):
    """Correct the hash of every changed file, and the manifest's own."""

    def change(values):
        values["files"] = describe_files(folder, {name: entry["for"] for name, entry in values["files"].items()})

    edit(folder, change)
