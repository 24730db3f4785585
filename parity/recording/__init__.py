"""Recordings: the format, reading, writing, and the names of their tensors."""
