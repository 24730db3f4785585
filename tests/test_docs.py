"""The documentation: its site builds, its examples run, and what it names is there."""

import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import click
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import export
import julia_bridge
import parity
import parity.laws
import sharnn_py
from sharnn_py.cli import sharnn

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
EXAMPLES = Sybil([PythonCodeBlockParser(), SkipParser()])
PACKAGES = ("sharnn_py", "parity", "export", "julia_bridge")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py*") if path.suffix != ".pyc")
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


def test_the_site_fetches_nothing_from_elsewhere(site):
    fetched = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc="?https?:|<link[^>]*\shref="?https?:""")
    assert [page.name for page in site.rglob("*.html") if fetched.search(page.read_text())] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    """From top to bottom in one namespace, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for example in EXAMPLES.parse(page).examples():
        example.evaluate()


def test_the_example_with_julia_says_what_the_page_says(lane):
    program = ROOT / "docs" / "examples" / "tagger.py"
    printed = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    page = " ".join((ROOT / "docs" / "any_model.md").read_text().split())
    assert "eval/1/normed" in printed
    for line in printed.strip().splitlines():
        if line.strip().startswith(("first:", "why:", "what follows:")):
            assert " ".join(line.split()) in page


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


def test_files_that_are_mentioned_exist():
    """In pages and in sources; a changelog alone may name what is gone."""
    mentioned = re.compile(rf"(?<![\w/.~])(?:{'|'.join(PACKAGES)}|tests|docs)/[\w./]*\w(?![\w*])")
    assert missing(mentioned, lambda name: (ROOT / name).exists()) == {}


def test_modules_and_names_that_are_mentioned_exist():
    mentioned = re.compile(rf"(?<=`)(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
    assert missing(mentioned, resolves) == {}


def missing(mentioned, exists):
    """What matches `mentioned` and does not exist, by the file that mentions it."""
    paths = {path: path.read_text() for path in [*PAGES, *SOURCES] if path.name != "CHANGELOG.md"}
    found = {path: [name for name in mentioned.findall(text) if not exists(name)] for path, text in paths.items()}
    return {name_of(path): names for path, names in found.items() if names}


def resolves(name):
    """Whether a dotted name is that of a module or of something in one."""
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True
