"""Why a wrong layer is wrong, in words, confirmed by recomputing. docs/diagnosis.md tells how."""

from parity.diagnosis.search import explain

__all__ = ["explain"]
