"""What the site has beside the pages in docs/: some of the repository's files, wherever they are."""

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
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the root's pages, with links that fit where they now are."""
    root = Path(config.config_file_path).parent
    for name, page in ELSEWHERE.items():
        files.append(File.generated(config, page, content=relinked((root / name).read_text())))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Let a page of docs/ link to one at the root."""
    return relinked(markdown)


def relinked(markdown: str) -> str:
    """Links between the repository's root and docs/, as links between the site's pages."""
    for name, page in ELSEWHERE.items():
        markdown = re.sub(rf"\]\((?:\.\./)*{name}", f"]({page}", markdown)
    return markdown.replace("](docs/", "](")
