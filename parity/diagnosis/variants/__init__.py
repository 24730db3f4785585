"""Formulas that may explain a wrong tensor beyond the variants that its operation lists."""
