"""The reports that are files, side by side in a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parity.report import html_page
from parity.report.json_file import write_json
from parity.report.junit_file import write_junit
from parity.results import SuiteResult
from sharnn_py.files import write_text

__all__ = ["write_json", "write_junit", "write_report"]


def write_report(result: SuiteResult, folder: Path, ledger: Sequence[Mapping[str, Any]] = ()) -> Path:
    """Write `report.html`, `report.json` and `junit.xml` into `folder`, made if need be. Returns the readable one."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(result, folder / "report.json")
    write_junit(result, folder / "junit.xml")
    write_text(folder / "report.html", html_page.render(result, ledger))
    return folder / "report.html"
