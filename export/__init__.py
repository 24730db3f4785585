"""Export to ONNX, and stateful inference on onnxruntime.

Names load when they are first used: serving (`Session`) loads neither torch nor onnx.
"""

from sharnn_py.lazy_package import attach

__getattr__, __dir__, __all__ = attach(__name__)
