"""`python -m tests.bench`: print every ratio and its bound; exit 1 if one is out of bounds."""

import sys

import torch
from rich.console import Console
from rich.table import Table

from tests.bench import model

torch.set_num_threads(1)
table = Table("what", "time / plain torch", f"at most {model.ALLOWED}", box=None)
good = True
for name, ratio, within in model.rows():
    table.add_row(name, f"{ratio:.3f}", "yes" if within else "NO")
    good = good and within
Console(width=110).print(table)
sys.exit(0 if good else 1)
