"""Errors of the parity suite."""

from sharnn_py.errors import SharnnError


class RecordingError(SharnnError):
    """A recording that cannot be read, or is not what its own header says."""


class UsageError(SharnnError):
    """A request that makes no sense, such as a case that does not exist."""

    exit_code = 2
