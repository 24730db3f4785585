"""PyTorch SHA-RNN in the semantics of both public programs."""
