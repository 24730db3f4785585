"""The parity suite: recordings of the public programs against the port, tensor by tensor."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
