"""The port's training, update by update: `sharnn train`'s own loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from parity.sharnn.training.case import Case
from parity.tolerance import nudge
from sharnn_py.fast.accelerated import plain
from sharnn_py.model import SHARNN
from sharnn_py.trainer.optimiser import new_optimiser
from sharnn_py.trainer.ranks import Ranks
from sharnn_py.trainer.run import Run
from sharnn_py.weights import from_julia


@dataclass(frozen=True)
class Step:
    """A training run after one update."""

    loss: float
    """Mean negative log likelihood of the update's segments, nats a token, before the update."""
    parameters: dict[str, Tensor]
    """All parameters after it, by the port's names; nobody else's to change."""


@dataclass(frozen=True)
class How:
    """How one run of the port rounds."""

    dtype: torch.dtype
    plain_layers: bool = False
    """Whether it computes with the model's plain layers, in place of the fast ones that `sharnn train` trains with:
    the same sums in another order."""
    nudged: int = 0
    """The number of a run in which, before every update, each parameter is moved by at most its last bit, up or down
    at random: as if the update before had been rounded otherwise. 0 moves nothing."""


def port_start(case: Case) -> dict[str, Tensor]:
    """The parameters that training starts from, by the port's names, float32."""
    start = {name: torch.from_numpy(array.copy()) for name, array in case.parameters.items()}
    return from_julia(start, case.config)


def port_steps(case: Case, how: How) -> Iterator[Step]:
    """Every update of the port. Raises `TrainingError` if a loss is not finite."""
    run = Run(case.corpus, case.settings, Ranks(0, 1, torch.device("cpu")))
    assert isinstance(run.model, SHARNN)
    run.model.load_state_dict(port_start(case))
    run.optimiser = new_optimiser(run.model, replace(case.settings, semantics=case.program))
    run.model.to(how.dtype)
    if how.plain_layers:
        plain(run.model)
    for number in range(1, case.updates + 1):
        if how.nudged:
            _nudge(list(run.model.parameters()), how.nudged, number)
        loss = run.update().nats
        yield Step(loss, {name: p.detach().clone() for name, p in run.model.named_parameters()})


@torch.no_grad()
def _nudge(parameters: list[nn.Parameter], run: int, number: int) -> None:
    """Move the parameters before update `number`, in place."""
    flat = nudge(torch.cat([p.flatten() for p in parameters]), run, f"update {number}")
    parts = torch.split(flat, [p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.copy_(part.view_as(parameter))
