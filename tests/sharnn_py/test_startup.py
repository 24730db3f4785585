"""What loads when: nothing heavy before it is used. In child processes, where nothing is loaded yet."""

import subprocess
import sys

import pytest


def loaded(code, *modules):
    probe = f"{code}\nimport sys\nprint([m for m in {modules!r} if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    "package", ["sharnn_py", "julia_bridge", "parity", "export", "sharnn_py.cli", "parity.cli", "export.cli"]
)
def test_importing_loads_neither_torch_nor_julia(package):
    assert loaded(f"import {package}", "torch", "juliacall", "juliapkg", "onnxruntime", "onnx") == "[]"


@pytest.mark.slow
def test_a_model_loads_torch_but_no_julia():
    assert loaded("import sharnn_py; sharnn_py.SHARNN", "torch", "juliacall") == "['torch']"


@pytest.mark.slow
def test_parameters_of_julia_are_converted_without_torchs_compiler():
    """It takes most of a second to load."""
    code = """
from sharnn_py import SHARNN, Config, from_julia, to_julia
config = Config(vocab=5, emb=4, hidden=4, layers=2)
from_julia(to_julia(SHARNN(config).state_dict(), config), config)
"""
    assert loaded(code, "torch", "torch._dynamo") == "['torch']"


def test_every_public_name_is_there():
    import export
    import parity
    import sharnn_py

    for package in (sharnn_py, parity, export):
        assert all(getattr(package, name) is not None for name in package.__all__)
