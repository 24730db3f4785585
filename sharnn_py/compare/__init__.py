"""The byte models that SHA-RNN has to pass on the same text with the same care: what `sharnn compare` runs."""
