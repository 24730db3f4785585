"""Sharing work out among fresh interpreters."""

import multiprocessing
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")


def spread(do: Callable[[Given], Found], given: Sequence[Given], processes: int) -> Generator[Found, None, None]:
    """`do` of each, in order; with `processes` above 1 in as many fresh interpreters.

    The interpreters import the caller's main module, which must be safe to import. Closed before its end, or where
    anything is raised, it begins nothing more, and ends what is under way.
    """
    if processes == 1 or len(given) < 2:
        yield from map(do, given)
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(given)), mp_context=context)
    try:
        yield from pool.map(do, given)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    pool.shutdown()
