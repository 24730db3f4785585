"""MinTrustLAMB, the optimiser of both programs, as each of them runs it.

Lamb is You et al., arXiv 1904.00962; the floor under its trust ratio is Smerity/pytorch-lamb's. One update of one
parameter w with gradient g:

    m = beta1 m + (1 - beta1) g
    v = beta2 v + (1 - beta2) g^2                       (no bias correction)
    step = m / (sqrt(v) + eps) + weight_decay w
    trust = max(min_trust, 1 if |w| = 0 or |step| = 0 else min(|w|, 10) / |step|)
    w = w - lr schedule(t / total_steps) trust step

Norms are taken over one parameter *of the program*. SHA-RNN.jl's LSTM has one flat vector, `rnn.w`, where torch has
four tensors; these share one parameter group and so one norm. `julia_lamb` and `paper_lamb` build the groups.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from sharnn_py.config import Config
from sharnn_py.errors import ConfigError
from sharnn_py.model import SHARNN
from sharnn_py.weights import julia

SCHEDULES: dict[str, Callable[[float], float]] = {
    "warmup_constant": lambda x: 1.0,
    "warmup_cosine": lambda x: 0.5 * (1.0 + math.cos(math.pi * x)),
    "warmup_linear": lambda x: 1.0 - x,
}
MAX_WEIGHT_NORM = 10.0


def schedule(name: str, x: float, warmup: float) -> float:
    """The learning rate's factor after a fraction `x` of all updates: x / warmup before `warmup`, then the schedule.

    The factor may jump at `warmup`, as in SHA-RNN.jl: that of `warmup_linear` falls from 1 to 1 - warmup. Raises
    `ConfigError` for a name that is not in `SCHEDULES`.
    """
    if name not in SCHEDULES:
        raise ConfigError(f"there is no schedule {name!r}; the schedules are {', '.join(SCHEDULES)}")
    return x / warmup if x < warmup else SCHEDULES[name](x)


class MinTrustLAMB(Optimizer):
    """Lamb with a floor under the trust ratio. Every parameter group is one parameter of the program.

    Options of a group are `lr`, `betas`, `eps`, `weight_decay`, `min_trust` and `clip`, the norm to which a larger
    gradient of the group is scaled down (None: never). `global_clip` first does so to the gradient of all groups
    together. With `total_steps` the learning rate follows the schedule `schedule_name` (`sharnn_py.lamb.schedule`).
    Raises `ConfigError` for an unknown schedule or `total_steps` below 1.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        min_trust: float = 0.25,
        clip: float | None = None,
        global_clip: float | None = None,
        total_steps: int | None = None,
        warmup: float = 0.1,
        schedule_name: str = "warmup_constant",
    ) -> None:
        if total_steps is not None and total_steps < 1:
            raise ConfigError(f"total_steps is {total_steps}; it must be at least 1, or None for no schedule")
        schedule(schedule_name, 1.0, warmup)
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, min_trust=min_trust, clip=clip, step=0)
        super().__init__(groups, defaults)
        self.global_clip = global_clip
        self.total_steps = total_steps
        self.warmup = warmup
        self.schedule_name = schedule_name

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient; gradients are clipped in place. Returns the loss of `closure`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.global_clip is not None:
            clip_grad_norm_([p for group in self.param_groups for p in group["params"]], self.global_clip)
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        if group["clip"] is not None:
            clip_to(gradients, group["clip"])
        group["step"] += 1
        beta1, beta2 = group["betas"]
        steps = []
        for w, g in zip(parameters, gradients, strict=True):
            state = self.state[w]
            if not state:
                state["m"], state["v"] = torch.zeros_like(w), torch.zeros_like(w)
            m, v = state["m"], state["v"]
            m.mul_(beta1).add_(g, alpha=1 - beta1)
            v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            step = m / (v.sqrt() + group["eps"])
            steps.append(step.add_(w, alpha=group["weight_decay"]) if group["weight_decay"] else step)

        weight_norm = joint_norm(parameters).clamp(max=MAX_WEIGHT_NORM)
        step_norm = joint_norm(steps)
        trust = weight_norm / step_norm
        trust = torch.where((weight_norm == 0) | (step_norm == 0), torch.ones_like(trust), trust)
        trust = trust.clamp(min=group["min_trust"])
        factor = 1.0
        if self.total_steps is not None:
            factor = schedule(self.schedule_name, group["step"] / self.total_steps, self.warmup)
        for w, step in zip(parameters, steps, strict=True):
            w.sub_(step.mul_(group["lr"] * factor * trust))


def joint_norm(tensors: Iterable[Tensor]) -> Tensor:
    """The Euclidean norm of all numbers in `tensors` together, a scalar tensor."""
    norms = torch.stack([torch.linalg.vector_norm(t) for t in tensors])
    joint: Tensor = torch.linalg.vector_norm(norms)
    return joint


def clip_to(gradients: list[Tensor], limit: float) -> None:
    """Scale `gradients` in place so that their joint norm is at most `limit`."""
    norm = joint_norm(gradients)
    scale = torch.where(norm > limit, limit / norm, torch.ones_like(norm))
    for gradient in gradients:
        gradient.mul_(scale)


def unclipped_by_julia(config: Config) -> set[str]:
    """The parameters, by SHA-RNN.jl's names, whose gradients its clip misses on the CPU.

    AutoGrad gives these gradients as sparse arrays, of which Knet's `gclip!` scales a copy that is thrown away.
    """
    names = {f"blocks.{i + 1}.rnn.w" for i in range(config.layers)}
    return names if config.tied else names | {"encoder.w"}


def julia_lamb(
    model: SHARNN,
    *,
    lr: float = 1e-3,
    total_steps: int | None = None,
    warmup: float = 0.1,
    schedule_name: str = "warmup_constant",
) -> MinTrustLAMB:
    """MinTrustLAMB as SHA-RNN.jl's `initlamb!` sets it up and runs it on the CPU (`src/lamb.jl`).

    Each parameter's gradient is clipped on its own, to norm 0.25, except for sparse ones; only one-dimensional
    parameters decay, by 1.2e-6. The groups follow the table of `sharnn_py.weights.julia`. With `total_steps` the
    learning rate follows the schedule `schedule_name`. Raises `ConfigError` for an unknown schedule or `total_steps`
    below 1.
    """
    ours = dict(model.named_parameters())
    unclipped = unclipped_by_julia(model.config)
    grouped: set[str] = set()
    groups = []
    for theirs, names, layout in julia.rows(model.config):
        grouped.update(names)
        one_dimensional = layout.to_theirs([ours[name].detach() for name in names]).ndim == 1
        groups.append(
            {
                "name": theirs,
                "params": [ours[name] for name in names],
                "clip": None if theirs in unclipped else 0.25,
                "weight_decay": 1.2e-6 if one_dimensional else 0.0,
            }
        )
    # SHA-RNN.jl has no bias in a tied decoder (row 5); it is treated as any other bias.
    groups += [
        {"name": name, "params": [p], "clip": 0.25, "weight_decay": 1.2e-6}
        for name, p in ours.items()
        if name not in grouped
    ]
    return MinTrustLAMB(groups, lr=lr, total_steps=total_steps, warmup=warmup, schedule_name=schedule_name)


def paper_lamb(
    model: nn.Module,
    *,
    lr: float = 2e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 1.2e-6,
    min_trust: float = 0.25,
    clip: float = 0.25,
) -> MinTrustLAMB:
    """MinTrustLAMB as Smerity's `main.py` sets it up: pytorch-lamb's Lamb after one `clip_grad_norm_`.

    The gradient of all parameters together is clipped to norm `clip`; every parameter decays; there is no schedule.
    """
    groups = [{"name": name, "params": [p]} for name, p in model.named_parameters()]
    return MinTrustLAMB(
        groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, min_trust=min_trust, global_clip=clip
    )
