"""For all tests: one thread, as small tensors want it, and no device but the CPU."""

import torch

torch.set_num_threads(1)
