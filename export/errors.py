"""Errors of exporting and serving."""

from sharnn_py.errors import SharnnError


class ExportError(SharnnError):
    """A model that cannot be exported, or an export folder that cannot be served."""


class ProviderError(ExportError):
    """An execution provider that was asked for and cannot be had. The message says what is missing."""
