"""SHA-RNN in Julia: the model, its source and its weights."""
