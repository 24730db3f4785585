"""Holding a subject against a recording: a verdict on every tensor, and where a gradient goes wrong."""
