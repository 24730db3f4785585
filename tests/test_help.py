"""`help()` of each package reads like a manual page: every public name says what it is, and how it is called."""

import importlib
import inspect
import re
import subprocess
import sys

import pytest

PACKAGES = ["sharnn_py", "julia_bridge", "parity", "parity.laws", "export"]
WORDS = 4
"""Fewer say nothing: "One operation." does not."""


def public(package):
    """(dotted name, object) of every public name, and of what its classes define that is public."""
    module = importlib.import_module(package)
    for name in module.__all__:
        found = getattr(module, name)
        yield name, found
        if inspect.isclass(found):
            for attribute, _ in inspect.getmembers(found):
                defined = next((vars(base)[attribute] for base in found.__mro__ if attribute in vars(base)), None)
                function = getattr(defined, "fget", None) or getattr(defined, "__func__", None) or defined
                ours = str(getattr(function, "__module__", "")).split(".")[0] in PACKAGES
                if ours and not attribute.startswith("_") and (callable(function) or isinstance(defined, property)):
                    yield f"{name}.{attribute}", getattr(found, attribute)


EVERY = [pytest.param(found, id=f"{package}.{name}") for package in PACKAGES for name, found in public(package)]


@pytest.mark.parametrize("found", EVERY)
def test_it_says_what_it_is_and_how_it_is_called(found):
    if inspect.isclass(found) or inspect.isroutine(found) or isinstance(found, property):
        said = inspect.getdoc(found) or ""
        assert len(said.split()) >= WORDS, f"its docstring is {said!r}"
        assert not re.match(r"\w+\(", said), "its docstring is the signature that dataclass makes"
    if inspect.isroutine(found) or (inspect.isclass(found) and not issubclass(found, Exception)):
        signature = str(inspect.signature(found))
        assert not re.search(r"<lambda|<function|<.* object at|['\"]/", signature), signature


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_lists_its_public_names_and_loads_nothing_heavy_for_it(package):
    program = f"import sys, {package}; print({package}.__doc__); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    lines = dict(re.findall(r"^    (\w+) +(.*)$", done.stdout, re.MULTILINE))
    assert sorted(lines) == sorted(importlib.import_module(package).__all__)
    assert not {name: line for name, line in lines.items() if len(line.split()) < 2}
    assert not {"torch", "onnx", "onnxruntime", "juliacall", "hypothesis"} & set(done.stderr.split())
