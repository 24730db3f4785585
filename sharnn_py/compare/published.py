"""What the paper reports for enwik8, for comparison; nothing here was measured by this project."""

SOURCE = "Merity, Single Headed Attention RNN: Stop Thinking With Your Head, arXiv 1911.11423"
CONDITIONS = "enwik8, test set of 5 MB, 24 hours on one GPU"
"""What the figures are for: another text, another machine and another training."""
FIGURES = {
    "SHA-RNN without attention": 1.33,
    "SHA-RNN with one attention layer": 1.076,
    "SHA-RNN with attention in every layer": 1.068,
}
"""Bits per byte."""
