"""The commands of `sharnn parity`, one a module."""
