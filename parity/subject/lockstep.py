"""Turning a function that hands out results by a callback into an iterator, without holding all of them.

The function runs in a thread of its own, which stands still while its results are looked at, so several such
iterators can be drawn from in step and only the results under way are in memory.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 32 * 2**20
"""Bytes of results that a function may be ahead by; changing threads for each small one would cost more than it."""


class _Abandoned(BaseException):
    """Unwinds a function whose results nobody wants any more."""


class _Handover(Generic[T]):
    def __init__(self, produce: Callable[[Callable[[T], None]], None], size: Callable[[T], int]) -> None:
        self.produce, self.size = produce, size
        self.results: deque[T] = deque()
        self.contents = 0
        self.wanted, self.ready = threading.Semaphore(0), threading.Semaphore(0)
        self.done = self.abandoned = False
        self.failure: BaseException | None = None

    def emit(self, result: T) -> None:
        self.results.append(result)
        self.contents += self.size(result)
        if self.contents >= AHEAD:
            self.contents = 0
            self.ready.release()
            self._wait()

    def _wait(self) -> None:
        self.wanted.acquire()
        if self.abandoned:
            raise _Abandoned

    def run(self) -> None:
        try:
            self._wait()
            self.produce(self.emit)
        except _Abandoned:
            pass
        except BaseException as failure:  # raised again where the results are read
            self.failure = failure
        finally:
            self.done = True
            self.ready.release()


def lockstep(produce: Callable[[Callable[[T], None]], None], size: Callable[[T], int]) -> Iterator[T]:
    """The results that `produce(emit)` emits, in order; what it raises is raised after the last of them.

    `size` tells a result's bytes. Leaving the iterator early unwinds `produce`.
    """
    handover = _Handover(produce, size)
    thread = threading.Thread(target=handover.run, daemon=True)
    thread.start()
    try:
        while not handover.done:
            handover.wanted.release()
            handover.ready.acquire()
            while handover.results:
                yield handover.results.popleft()
        if handover.failure is not None:
            raise handover.failure
    finally:
        handover.abandoned = True
        handover.wanted.release()
        thread.join()
