"""Every module, name and file of this project that its documentation mentions is there."""

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = "sharnn_py|julia_bridge|parity|export"
DOTTED = re.compile(rf"`((?:{PACKAGES})(?:\.\w+)+)(?:\([^`]*\))?`")
PATH = re.compile(rf"`((?:{PACKAGES}|tests|docs)/[\w./*-]*)`|\b((?:{PACKAGES}|tests|docs)/[\w/-]+\.[a-z]+)\b")
PLACEHOLDER = re.compile(r"\b(NAME|PROGRAM)\b")
LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]*)?\)")
FOLDERS = [*PACKAGES.split("|"), "tests", "docs"]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for name in FOLDERS for end in ("md", "py") for path in (ROOT / name).rglob(f"*.{end}")),
    ]
)


for names_what_is_not_there in (Path(__file__), ROOT / "CHANGELOG.md"):
    DOCUMENTS.remove(names_what_is_not_there)


def missing(document):
    """What a file mentions in backticks, or links to, and that is not there."""
    text = document.read_text(encoding="utf-8")
    for name in DOTTED.findall(text):
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            yield name
    paths = {path for pair in PATH.findall(text) for path in pair if path and not PLACEHOLDER.search(path)}
    yield from (path for path in paths if not any(ROOT.glob(path.rstrip("/"))))
    if document.suffix == ".md":
        yield from (link for link in LINK.findall(text) if not (document.parent / link).exists())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_mentioned_is_there(document):
    assert not sorted(missing(document))


def test_what_is_not_there_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("`export.int8`, `export.fold.fold`, `export.Session(1)`, `export/gone.py`, docs/gone.md, [a](b.md)")
    assert sorted(missing(page)) == ["b.md", "docs/gone.md", "export.int8", "export/gone.py"]
