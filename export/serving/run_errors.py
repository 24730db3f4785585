"""What goes wrong on a device while a session runs, in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from export.errors import ProviderError
from export.serving.providers import Provider, first_line

_OF_MEMORY = ("smaller than requested", "allocate", "out of memory", "bad_alloc")
"""What errors of onnxruntime and CUDA have in them where there is too little memory."""


@contextmanager
def in_a_sentence(provider: Provider) -> Iterator[None]:
    """Within, an error of onnxruntime is a `ProviderError`, which says so if there is too little memory."""
    try:
        yield
    except Exception as error:
        theirs = type(error).__module__.startswith("onnxruntime")  # they share no base
        if not theirs and not isinstance(error, (MemoryError, RuntimeError)):
            raise
        why, do = first_line(error), "load the session again"
        if isinstance(error, MemoryError) or any(words in why for words in _OF_MEMORY):
            do = "there is too little memory: feed fewer sequences or shorter segments"
            do += "" if provider == "cpu" else ", or raise gpu_mem_limit where provider_options sets one"
        raise ProviderError(f"{provider} failed while it ran ({why}); {do}") from error
