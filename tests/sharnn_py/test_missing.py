"""A package that is not installed is named in one sentence with the way to get it, from Python and in a terminal."""

import subprocess
import sys

import pytest

from sharnn_py import SharnnError
from sharnn_py.errors import MissingPackage
from sharnn_py.missing import PACKAGES, explained

ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def without(package, program):
    """Run a program where a package cannot be imported: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-c", ABSENT.format(package=package) + program], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


PYTHON = """
from sharnn_py import SharnnError
try:
    from {package} import {name}
except SharnnError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("missing", "package", "name"), [
    ("onnxruntime", "export", "Session"),
    ("torch", "sharnn_py", "SHARNN"),
    ("torch", "export", "export_checkpoint"),
    ("onnx", "export", "export_checkpoint"),
    ("torch", "parity", "capture"),
])  # fmt: skip
def test_a_public_name_says_which_package_it_needs(missing, package, name):
    code, out, err = without(missing, PYTHON.format(package=package, name=name))
    assert (code, err) == (0, "")
    assert out == f"{package}.{name} needs {missing}, which is not installed: {PACKAGES[missing]}\n"


@pytest.mark.slow
@pytest.mark.parametrize(("missing", "command"), [
    ("onnxruntime", ["generate", "{exported}", "--prompt", "a"]),
    ("onnxruntime", ["score", "{exported}", "{exported}/config.json"]),
    ("onnxruntime", ["onnx", "check", "{exported}"]),
    ("torch", ["generate", "{checkpoint}", "--prompt", "a"]),
    ("torch", ["onnx", "check", "{exported}"]),
    ("onnx", ["export", "{checkpoint}", "-o", "{checkpoint}/again"]),
    ("msgspec", ["parity", "mutants"]),
    ("pyppmd", ["compare", "{text}", "--minutes", "1"]),
    ("matplotlib", ["compare", "{text}", "--minutes", "1", "--plot", "picture.png"]),
])  # fmt: skip
def test_a_command_says_which_package_it_needs(missing, command, folders):
    words = [word.format(**folders) for word in command]
    code, out, err = without(missing, f"from sharnn_py.cli import main; main({words!r})")
    assert (code, out) == (3, "")
    assert err == f"error: this command needs {missing}, which is not installed: {PACKAGES[missing]}\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    from export import export_checkpoint
    from sharnn_py import PAPER, SHARNN, Config, Vocabulary, save_checkpoint

    words = Vocabulary(["<s>", "<unk>", "97"])
    folder = tmp_path_factory.mktemp("models")
    model = SHARNN(Config(vocab=3, emb=4, hidden=8, layers=1, semantics=PAPER))
    save_checkpoint(model, folder / "checkpoint", words)
    export_checkpoint(folder / "checkpoint", folder / "exported")
    (folder / "text").write_bytes(bytes(5000))
    return {"checkpoint": folder / "checkpoint", "exported": folder / "exported", "text": folder / "text"}


def test_a_broken_installation_is_told_from_one_that_is_missing():
    gone = ImportError("cannot import name 'InferenceSession'\nfrom 'onnxruntime'", name="onnxruntime")
    with pytest.raises(MissingPackage) as raised, explained("x"):
        raise gone
    assert str(raised.value).startswith(
        "x needs onnxruntime, whose installation is broken (cannot import name 'InferenceSession' from 'onnxruntime'); "
        'uninstall it first: pip install "sharnn[cpu]"'
    )
    inside = r"whose installation is broken \(No module named 'torch._C'\)"
    with pytest.raises(MissingPackage, match=inside), explained("x"):
        raise ModuleNotFoundError("No module named 'torch._C'", name="torch._C")


def test_it_is_an_import_error_and_an_error_of_this_project():
    assert issubclass(MissingPackage, SharnnError)
    assert issubclass(MissingPackage, ImportError)


@pytest.mark.parametrize("name", ["mine", "mine.torch", None])
def test_a_package_of_somebody_else_is_left_to_them(name):
    theirs = ModuleNotFoundError("No module named 'mine'", name=name)
    with pytest.raises(ModuleNotFoundError) as raised, explained("x"):
        raise theirs
    assert raised.value is theirs
