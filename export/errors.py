"""Errors of exporting and serving."""

from collections.abc import Sequence
from numbers import Integral

from sharnn_py.errors import ConfigError, SharnnError


class ExportError(SharnnError):
    """A model that cannot be exported, or an export folder that cannot be served."""


class ProviderError(ExportError):
    """An execution provider that was asked for and cannot be had. The message says what is missing."""


def one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise `ConfigError`, calling `value` `name`, unless it is one of `choices`."""
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}; it must be {' or '.join(map(repr, choices))}")


def whole_number(least: int, name: str, value: object, instead: str = "") -> None:
    """Raise `ConfigError`, calling `value` `name`, unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least {least}{instead}")
