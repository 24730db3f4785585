"""How far a float32 recording may be from the truth: as far as float32 rounding explains, and no further.

The truth is the subject in float64. What rounding does to one tensor is measured on that tensor, without any float32
kernel: the subject runs in float64 again with every operation rounded at random to float32 (`parity.arithmetic`) and
with every recorded number nudged by at most its last bit, and the largest distance of these runs from the truth is the
tensor's *rounding*. A recording agrees if

    max |recorded - truth|  <=  max(MULTIPLE * rounding, FLOOR * unit * max |truth|)

with unit = 2^-23, float32's, and the subject's own float32 run has to be as near. docs/tolerance.md tells how the
numbers were found, why this cannot hide a difference of semantics, and why it does not fail on noise.
"""

import hashlib
import math

import torch
from torch import Tensor

ROUNDED_RUNS = 3
"""Runs a case with random rounding."""
ROUNDING_RUNS = 4
"""Float32 runs where an export or a back end is compared with PyTorch: one plain, the others nudged."""
FEW = 4
"""Numbers of which the runs with random rounding show enough; of fewer, all runs may happen to hit the truth, so what
they show counts `FEW` over how many there are times."""
MULTIPLE = 16.0
"""Of the measured rounding."""
FLOOR = 4.0
"""Units of rounding at the tensor's scale that are always allowed."""
LARGEST_SHARE = {"isolated": 1e-3, "end to end": 5e-2, "backward": 1.0}
"""The largest tolerance there may be, as a share of the tensor's size: of a layer on the reference's inputs, of a
forward pass end to end, and of gradients and updates. docs/tolerance.md has what sound ports show."""
UNIT = {torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7, torch.float32: 2.0**-23, torch.float64: 2.0**-52}


def seed(run: int, name: str) -> int:
    """The seed of what is drawn in a run for `name`."""
    return int.from_bytes(hashlib.sha256(f"{run} {name}".encode()).digest()[:6], "big")


def nudge(tensor: Tensor, run: int, name: str, unit: float | None = None) -> Tensor:
    """`tensor` with every number moved by -1, 0 or 1 units in the last place, drawn from `run` and `name`.

    Run 0 moves nothing. Zeros stay zero. `unit` is that of the tensor's dtype, unless it is given.
    """
    if run == 0 or not tensor.is_floating_point():
        return tensor
    generator = torch.Generator().manual_seed(seed(run, name))
    step = torch.randint(-1, 2, tensor.shape, generator=generator).to(tensor.dtype)
    return tensor * (1 + step * (UNIT[tensor.dtype] if unit is None else unit))


def allowed(rounding: float, scale: float, unit: float) -> float:
    """The tolerance of a tensor of largest magnitude `scale` on which float32 runs show `rounding`."""
    return max(MULTIPLE * rounding, FLOOR * unit * scale)


def units(error: float, tolerance: float) -> float:
    """An error in units of what rounding explains; the tolerance is `MULTIPLE` of them."""
    if error == 0:
        return 0.0
    return MULTIPLE * error / tolerance if tolerance else math.inf
