"""What the site has beside the pages in docs/: files from the rest of the repository, and tables built from code."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "parity/report/schema.json": "schema.json",
    "export/manifest_schema.json": "manifest_schema.json",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from elsewhere."""
    root = Path(config.config_file_path).parent
    for path, name in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(root / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Point links to files from elsewhere at the site's copies, and put a table for each `<!-- table: NAME -->`."""
    for path, name in ELSEWHERE.items():
        markdown = re.sub(rf"\]\((?:\.\./)*{path}", f"]({name}", markdown)
    markdown = markdown.replace("](docs/", "](")
    return re.sub(r"<!-- table: (\w+).*?-->", lambda match: TABLES[match[1]](), markdown)


def faults() -> str:
    """The catalogue of planted faults."""
    from parity.sharnn.faults.markdown import catalogue

    return catalogue()


def laws() -> str:
    """Every law, and why it has to hold."""
    from parity.laws import LAWS
    from parity.sharnn.faults.markdown import markdown

    return markdown(("law", "why"), ((f"`{name}`", " ".join(law.__doc__.split())) for name, law in LAWS.items()))


def ledger() -> str:
    """The ledger's entries, rows of the semantics first, as the file has them."""
    from parity.sharnn.faults.markdown import markdown
    from parity.sharnn.ledger.ledger import load

    rows = ((f"`{e.id}`", str(e.row or ""), e.title, e.julia, e.paper) for e in load().entries)
    return markdown(("entry", "row", "what", "`julia`", "`paper`"), rows)


TABLES = {"faults": faults, "laws": laws, "ledger": ledger}
