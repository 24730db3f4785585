"""SHA-RNN in PyTorch, in the semantics of both public programs that implement it.

Names load when they are first used, so that importing this package, or one light module of it, does not import
torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
