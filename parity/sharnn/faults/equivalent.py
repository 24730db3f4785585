"""Equivalent rewrites: changes of the port that compute the same in another way, and are no faults."""

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from parity.sharnn.faults.catalogue import entries
from parity.sharnn.faults.plant import Edit

EQUIVALENT = entries(Path(__file__).with_name("equivalent.toml"), "edit", Edit)


def other_way(draw: random.Random) -> Iterator[Edit]:
    """For each function that has equivalent rewrites, one of them in half of the cases."""
    for _, alternatives in groupby(EQUIVALENT, lambda edit: edit.where):
        if draw.random() < 0.5:
            yield draw.choice(list(alternatives))
