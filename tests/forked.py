"""Running a program in a fork of this process, which has loaded torch already: seconds cheaper than a fresh start."""

import gc
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sharnn_py.cli import main

LIMIT = 120
"""Seconds that a program may take."""


def forked(
    run: Callable[[], Any], environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """What `run` prints, and the code that it exits with, in a process of its own."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:

        def begin() -> None:
            gc.freeze()  # collecting a session that was opened before would wait for threads that a fork has not
            for file, number, name in ((out, 1, "stdout"), (err, 2, "stderr")):
                os.dup2(file.fileno(), number)
                setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115  # it lives as long as the process
            if environment is not None:
                os.environ.clear()
                os.environ.update(environment)
            os.chdir(folder or Path.cwd())
            run()

        process = multiprocessing.get_context("fork").Process(target=begin)
        process.start()
        process.join(LIMIT)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"it has not ended after {LIMIT} seconds")
        printed = []
        for file in (out, err):
            file.seek(0)
            printed.append(file.read())
    return subprocess.CompletedProcess([], process.exitcode, *printed)


def sharnn(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command `sharnn`; `options` are those of `forked`."""
    return forked(lambda: main([*map(str, arguments)]), **options)
