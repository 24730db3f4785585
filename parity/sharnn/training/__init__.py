"""Whether training the port is training the original: hundreds of updates of both, beside each other."""
