"""Julia beside Python: getting it, running it in a child process, and the Julia side of SHA-RNN.

Importing this starts no Julia and imports neither torch nor juliacall.
"""

from sharnn_py.lazy_package import attach

__getattr__, __dir__, __all__ = attach(__name__)
