"""The two questions that juliacall asks of juliapkg, answered from the environment.

juliapkg itself would make one whole of what every package in the user's environment wants of Julia, a newer juliacall
among them, and none of that can be had where this stand-in is used.
"""

import os


def executable() -> str:
    """The Julia to run."""
    return os.environ["PYTHON_JULIAPKG_EXE"]


def project() -> str:
    """The Julia project to activate."""
    return os.environ["PYTHON_JULIAPKG_PROJECT"]
