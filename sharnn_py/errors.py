"""Errors a user can act on. Each message says what was given, what was expected, and what to do."""


class SharnnError(Exception):
    """Base class of every error that this project raises on purpose."""

    exit_code = 3
    """The command line's exit code for it: 2 for wrong usage, 3 for the environment or an input file."""


class ConfigError(SharnnError, ValueError):
    """A configuration that no model can be built from."""

    exit_code = 2


class InputError(SharnnError, ValueError):
    """Tokens, a state or a text that the model cannot take."""


class WeightsError(SharnnError, ValueError):
    """A set of tensors that is not the one a model or a program expects."""


class CheckpointError(SharnnError):
    """A checkpoint or state file that is missing, damaged or of another model."""


class MissingPackage(SharnnError, ImportError):
    """A package that what was asked for needs and that is not installed; a serving machine lacks some on purpose."""
