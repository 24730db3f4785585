"""Training: from a text to a checkpoint, with validation, logs and exact resume (`sharnn train`)."""
