"""Loading the parameters of the two public programs into the port, and writing them back."""

from sharnn_py.weights.julia import from_julia, to_julia
from sharnn_py.weights.smerity import from_smerity, to_smerity

__all__ = ["from_julia", "from_smerity", "to_julia", "to_smerity"]
