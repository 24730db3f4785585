"""SHA-RNN as the subject of a comparison: all that the suite knows of the model and of the two programs."""
