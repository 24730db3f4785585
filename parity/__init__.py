"""The parity suite: recordings of the public programs against the port, tensor by tensor."""

from sharnn_py.lazy_package import attach

__getattr__, __dir__, __all__ = attach(__name__)
