"""Why a wrong layer is wrong, in words, confirmed by recomputing; docs/diagnosis.md tells how.

`explain` gives the hints of one tensor of a scene. `register` adds an operation to those that are known.
"""

from parity.diagnosis.definition import FittedParameter, Operands, OperationDefinition, Variant
from parity.diagnosis.operations import register
from parity.diagnosis.search import explain

__all__ = ["FittedParameter", "Operands", "OperationDefinition", "Variant", "explain", "register"]
