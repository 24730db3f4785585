"""Which way imports run: between the four packages, and between the rooms of the engine, which knows no model."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ["sharnn_py", "julia_bridge", "export", "parity"]
"""Each may import those before it."""
ROOMS = [
    {"errors", "tolerance", "arrangement", "threads", "processes"},
    {"recording", "measure", "arithmetic"},
    {"results"},
    {"subject", "report"},
    {"diagnosis"},
    {"judge"},
    {"sharnn", "module"},
    {"commands", "pytest_plugin", "laws", "cli"},
]
"""Of parity, lowest first; each may import those of lower rows."""
ABOVE_THE_BORDER = {"sharnn", "commands", "laws", "cli"}
INFRASTRUCTURE = {f"sharnn_py.{name}" for name in ("console", "errors", "files", "freed", "lazy_package")}
"""What the engine may use of the model's package: none of it knows the model."""
EXCEPTIONS = {(f"export.{name}", "parity.tolerance") for name in ("check", "golden", "replicas")}
"""One rule of tolerance, also for what is exported; it imports nothing of the project."""


def imports(path):
    """Every module of the four packages that a file imports anywhere, also inside functions or for types alone."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PACKAGES)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            if module.split(".")[0] in PACKAGES:
                yield from ([f"{module}.{alias.name}" for alias in node.names] if "." not in module else [module])


def wrong_arrow(source, target):
    """Why one module may not import the other; "" if it may. Both are dotted names."""
    if (source, target) in EXCEPTIONS:
        return ""
    (ours, *inner), (theirs, *outer) = source.split("."), target.split(".")
    if ours != theirs:
        if PACKAGES.index(theirs) > PACKAGES.index(ours):
            return "upwards between packages"
        engine = ours == "parity" and inner[:1] and inner[0] not in ABOVE_THE_BORDER
        return "the engine imports a model" if engine and ".".join(target.split(".")[:2]) not in INFRASTRUCTURE else ""
    if ours != "parity" or not inner or not outer or inner[0] == outer[0]:
        return ""
    row = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
    return "" if row[outer[0]] < row[inner[0]] else "upwards or sideways between rooms"


def wrong_arrows():
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found += [(source, target, why) for target in imports(path) if (why := wrong_arrow(source, target))]
    return found


def test_imports_run_one_way():
    assert wrong_arrows() == []


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("parity.recording.recording", "parity.judge.verdicts", "rooms"),
        ("parity.judge.verdicts", "parity.sharnn.port", "rooms"),
        ("parity.report.words", "parity.subject.scene", "rooms"),
        ("parity.recording.recording", "sharnn_py.config", "a model"),
        ("parity.pytest_plugin", "julia_bridge", "a model"),
        ("sharnn_py.model", "export.check", "packages"),
    ],
)
def test_a_wrong_arrow_is_told(source, target, why):
    assert wrong_arrow(source, target).endswith(why)


def test_imports_inside_functions_and_for_types_count(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "parity" / "judge" / "case.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "from ..sharnn import port\n"
        "if TYPE_CHECKING:\n    import export\n"
        "def f():\n    from parity.sharnn.suite import run\n"
    )
    assert sorted(imports(file)) == ["export", "parity.sharnn", "parity.sharnn.suite"]
