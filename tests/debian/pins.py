"""`python -m tests.debian.pins` writes debian.json anew: the packages of Debian's Julia and all that they need.

Needs a machine whose apt sources name an archive with bullseye. It has to be run only if the archive changes or Julia
turns out to need something else; the tests check that the pinned packages need no others.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

from julia_bridge.install import debian
from tests.debian.suite import closure, packages

SUITE = "bullseye"
ROOTS = ("julia", "julia-common")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pins = closure(packages(SUITE, Path(scratch)), ROOTS)
    content = json.loads(debian.PINS.read_text())
    content["debian"] = [dataclasses.asdict(pin) for pin in pins]
    debian.PINS.write_text(json.dumps(content, indent=4) + "\n")
    print(f"{debian.PINS}: {len(pins)} packages")


if __name__ == "__main__":
    main()
