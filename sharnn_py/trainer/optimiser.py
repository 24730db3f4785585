"""The optimisers that a model is trained with, and the learning rate of each update."""

from __future__ import annotations

import math

import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from sharnn_py.baseline import Baseline
from sharnn_py.lamb import julia_lamb, paper_lamb
from sharnn_py.model import SHARNN
from sharnn_py.trainer.settings import Settings


class ClippedAdamW(torch.optim.AdamW):
    """AdamW after the gradient of all parameters together was scaled down to norm `clip`, if it is larger."""

    def __init__(self, model: torch.nn.Module, settings: Settings) -> None:
        super().__init__(model.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
        self.clip = settings.clip

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """Clip, then update."""
        clip_grad_norm_([p for group in self.param_groups for p in group["params"]], self.clip)
        super().step()


def new_optimiser(model: SHARNN | Baseline, settings: Settings) -> Optimizer:
    """The optimiser of `settings` for `model`. A baseline has paper's MinTrustLAMB, whichever program is followed."""
    if settings.optimiser == "adamw":
        return ClippedAdamW(model, settings)
    if settings.semantics == "julia" and isinstance(model, SHARNN):
        return julia_lamb(model, lr=settings.rate)
    return paper_lamb(model, lr=settings.rate, weight_decay=settings.weight_decay, clip=settings.clip)


def rate_of(settings: Settings, update: int, share: float) -> float:
    """The learning rate of update number `update`, from 1, when `share` of the run is done.

    Warm-up is main.py's of Smerity/sha-rnn: the rate times min(update, warmup) / warmup.
    """
    rise = min(update, settings.warmup) / settings.warmup if settings.warmup else 1.0
    fall = {"constant": 1.0, "cosine": 0.5 * (1 + math.cos(math.pi * share)), "linear": 1 - share}[settings.schedule]
    return settings.rate * rise * fall
