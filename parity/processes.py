"""Sharing work out among fresh interpreters."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")


def spread(do: Callable[[Given], Found], given: Sequence[Given], processes: int) -> Iterator[Found]:
    """`do` of each, in order; with `processes` above 1 in as many fresh interpreters.

    The interpreters import the caller's main module, which must be safe to import.
    """
    if processes == 1 or len(given) < 2:
        yield from map(do, given)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(given)), mp_context=context) as pool:
        yield from pool.map(do, given)
