"""SHA-RNN in PyTorch, in the semantics of both public programs that implement it.

Names load when they are first used, so that importing this package, or one light module of it, does not import
torch.
"""

from sharnn_py.lazy_package import attach

__getattr__, __dir__, __all__ = attach(__name__)
