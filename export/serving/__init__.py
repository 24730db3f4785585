"""Serving an export folder on onnxruntime: sessions, their state, and the providers they run on. No torch is loaded."""
