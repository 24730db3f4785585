"""Packages whose public names load when they are first used, and whose `help()` reads like a manual page."""

import ast
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import lazy_loader  # type: ignore[import-untyped]

from sharnn_py.missing import explained

Attached = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def attach(package: str) -> Attached:
    """`__getattr__`, `__dir__` and `__all__` of the package of that name; its `__init__.pyi` imports its public names.

    The package's `__doc__` is its docstring and the first line of every public name's. It is read from the sources, so
    that asking for it loads nothing. A name that needs a package which is not installed raises `MissingPackage`.
    """
    module = sys.modules[package]
    load, names, public = lazy_loader.attach_stub(package, str(module.__file__))
    module.__class__ = type("LazyPackage", (type(module),), {"__doc__": property(_manual)})

    def load_or_explain(name: str) -> Any:
        with explained(f"{package}.{name}"):
            return load(name)

    return load_or_explain, names, public


def _manual(package: ModuleType) -> str:
    folder = Path(str(package.__file__)).parent
    stub = ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8"))
    lines = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            source = ast.parse(_source(folder, node.module).read_text(encoding="utf-8"))
            lines.update({alias.name: first_line(source, alias.name) for alias in node.names})
    width = max(map(len, lines))
    names = "\n".join(f"    {name:{width}}  {lines[name]}" for name in sorted(lines, key=str.lower))
    return f"{vars(package)['__doc__'].rstrip()}\n\nPublic names:\n\n{names}\n"


def _source(folder: Path, module: str) -> Path:
    path = folder.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def first_line(source: ast.Module, name: str) -> str:
    """The first line of the docstring of a class, function or constant at the top of a module; "" if it has none."""
    text: object = None
    for node, following in pairwise([*source.body, ast.Pass()]):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            text = ast.get_docstring(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(following, ast.Expr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if name in map(ast.unparse, targets) and isinstance(following.value, ast.Constant):
                text = following.value.value
    return text.strip().splitlines()[0] if isinstance(text, str) else ""
