"""Errors of the bridge to Julia. Each message says what happened and what to do."""

from sharnn_py.errors import SharnnError


class JuliaUnavailable(SharnnError):
    """No Julia can be had, or the one that is there cannot be used as asked."""


class JuliaError(SharnnError):
    """Julia code threw an exception; the message is Julia's own."""


class WorkerDied(SharnnError):
    """The Julia process ended during a call. The next call starts a new one."""


class WorkerTimeout(SharnnError, TimeoutError):
    """A call exceeded its time limit, and its Julia process was ended. The next call starts a new one."""
