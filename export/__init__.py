"""Export to ONNX, and stateful inference on onnxruntime.

Names load when they are first used: serving (`Session`) loads neither torch nor onnx.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
