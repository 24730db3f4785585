"""The ONNX graphs of a SHA-RNN, written node by node: `segment` for any T, `step` for T = 1 on a ring, two between."""
