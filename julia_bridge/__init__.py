"""Julia beside Python: getting it, running it in a child process, and the Julia side of SHA-RNN.

Importing this starts no Julia and imports neither torch nor juliacall.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
