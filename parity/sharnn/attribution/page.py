"""The explanation as one HTML page that opens from disk and asks for nothing else."""

from pathlib import Path

from parity.report.html_page import jinja, style_alone
from parity.report.words import legible
from parity.sharnn.attribution import words
from parity.sharnn.attribution.results import Explanation
from parity.sharnn.ledger.ledger import load
from sharnn_py.files import write_text

FILE = "explain.html"


def render(explanation: Explanation) -> str:
    """The page: the row that changes most, the verdict, a table of rows for each case, and what each row is."""
    style, policy = style_alone()
    page = jinja(Path(__file__).parent).get_template("page.html.j2")
    entries = {entry.id: entry for entry in load().entries}
    return legible(page.render(explanation=explanation, words=words, entries=entries, style=style, policy=policy))


def write_page(explanation: Explanation, folder: Path) -> Path:
    """Write the page into `folder`, made if need be. Returns where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / FILE, render(explanation))
    return folder / FILE
