"""Running SHA-RNN.jl beside the port. Its parameters already go both ways: see `sharnn_py.weights.julia`."""
