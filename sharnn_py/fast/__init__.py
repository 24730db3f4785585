"""The model's training step made faster on CPUs: the same parameters and the same equations, other operations.

`sharnn_py.model` and `sharnn_py.layers` are written to be read, and to be compared with the two programs tensor by
tensor. What is here computes the same in fewer passes over memory; the tests compare every piece with its plain twin.
"""

from sharnn_py.fast.accelerated import accelerated, plain
from sharnn_py.fast.choice import Choice, Timing, choose
from sharnn_py.fast.precision import Precision

__all__ = ["Choice", "Precision", "Timing", "accelerated", "choose", "plain"]
