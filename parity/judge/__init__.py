"""Comparing a subject with a recording: a verdict on every tensor, and where a gradient goes wrong."""
