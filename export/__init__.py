"""Export to ONNX and stateful inference. Nothing is here yet."""
