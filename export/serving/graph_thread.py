"""The one thread of a process on which sessions with CUDA graphs do everything.

onnxruntime keeps CUDA graphs for each thread: where another thread replays one, it finds none, and runs the step
plainly, records it and replays it, three steps for one token. And while a thread records, CUDA allows no other thread
to copy or to allocate.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_NAME = "sharnn-cuda-graphs"
_lock = threading.Lock()
_threads: list[ThreadPoolExecutor] = []

P = ParamSpec("P")
R = TypeVar("R")


def on_graph_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `call` returns or raises, called on the thread of CUDA graphs; from there, directly.

    A call that is interrupted while it waits (by Ctrl-C, say) still completes there, before the next one begins.
    """
    if threading.current_thread().name.startswith(_NAME):
        return call(*args, **kwargs)
    with _lock:
        if not _threads:
            _threads.append(ThreadPoolExecutor(1, _NAME))
    return _threads[0].submit(functools.partial(call, *args, **kwargs)).result()
