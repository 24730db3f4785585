"""The documentation: its site builds, its examples run, and its commands are there."""

import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import click
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import export
import julia_bridge
import parity
import parity.laws
import sharnn_py
from parity.diagnosis.operations import OPERATIONS
from parity.laws import LAWS
from parity.sharnn.faults import FAULTS
from parity.sharnn.ledger.ledger import load
from sharnn_py.cli import sharnn
from tests.test_architecture import PACKAGES, imports

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
EXAMPLES = Sybil([PythonCodeBlockParser(), SkipParser()])
REFERENCE = {
    "sharnn_py": sharnn_py,
    "parity": parity,
    "laws": parity.laws,
    "export": export,
    "julia_bridge": julia_bridge,
}


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: a dead link, a lost page or a reference to nothing is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.mark.parametrize("page", REFERENCE)
def test_every_public_name_is_in_the_reference(site, page):
    package = REFERENCE[page]
    text = (site / "reference" / f"{page}.html").read_text()
    assert [name for name in package.__all__ if f'id="{package.__name__}.{name}"' not in text] == []


def test_tables_are_built_from_the_code(site):
    tables = {
        "faults": [fault.name for fault in FAULTS],
        "laws": LAWS,
        "ledger": [entry.id for entry in load().entries],
    }
    for page, names in tables.items():
        cells = (site / f"{page}.html").read_text().replace("<code>", "").replace("</code>", "")
        assert [name for name in names if f"<td>{name}</td>" not in cells] == []


def test_the_site_fetches_nothing_from_elsewhere(site):
    fetched = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc="?https?:|<link[^>]*\shref="?https?:""")
    assert [page.name for page in site.rglob("*.html") if fetched.search(page.read_text())] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    """From top to bottom in one namespace, in an empty folder; what it registers is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(OPERATIONS):
        for example in EXAMPLES.parse(page).examples():
            example.evaluate()


def test_the_example_with_julia_says_what_the_page_says(installation, monkeypatch):
    monkeypatch.setenv("PYTHON_JULIACALL_COMPILE", "min")  # Julia interprets: compiling what runs once takes longer
    program = ROOT / "docs" / "examples" / "tagger.py"
    printed = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    page = in_words((ROOT / "docs" / "any_model.md").read_text())
    found = [in_words(line) for line in printed.splitlines() if line.strip().startswith(FINDINGS)]
    assert len(found) == 3
    assert [line for line in found if line not in page] == []


FINDINGS = ("first:", "why:", "consequences:")


def in_words(text):
    """On one line and without numbers, since the sizes of errors differ from machine to machine."""
    return re.sub(r"-?\d[\d,.]*(e-\d+)?", "", " ".join(text.split()))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_of_a_page_and_their_options_exist(page):
    for line in re.findall(r"^(?: {4}|- run: )(?:\.venv/bin/)?sharnn +(.*)", page.read_text(), re.MULTILINE):
        command, context = sharnn, click.Context(sharnn)
        words = line.partition("#")[0].split()
        while isinstance(command, click.Group):
            command = command.get_command(context, words.pop(0))
            assert command, f"{line}: no such command"
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(words))) <= options, line


def test_the_rooms_are_drawn_as_they_are():
    """ARCHITECTURE.md has all of them, and every import between two runs downwards."""
    drawings = re.findall(r"^ {4}(\w+)\n((?: {6}.*\n)+)", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    assert sorted(package for package, _ in drawings) == sorted(PACKAGES)
    for package, lines in drawings:
        rows = [re.split(r" {2,}", line.strip())[0].split(", ") for line in lines.splitlines()]
        row = {f"{package}.{room}": number for number, rooms in enumerate(rows) for room in rooms}
        modules = [path for path in (ROOT / package).rglob("*.py") if room_of(path) not in NO_ROOMS]
        arrows = {(room_of(path), ".".join(target.split(".")[:2])) for path in modules for target in imports(path)}
        assert {room_of(path) for path in modules} == row.keys()
        assert [(a, b) for a, b in sorted(arrows) if a != b and b in row and row[b] <= row[a]] == []


NO_ROOMS = {*(f"{package}.__init__" for package in PACKAGES), "julia_bridge.standins"}
"""A package's own interface, and what stands in for packages of others."""


def room_of(path):
    """The folder or file at a package's top that a module is, or is in."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])
