"""The processes that train together: each has its own columns of the batch and carries their state itself.

One process is the whole of it unless `torchrun` started several; then gradients are averaged by
DistributedDataParallel, over gloo on CPUs and NCCL on GPUs. Whatever depends on a clock or on a file is decided by rank
0 and told to the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from sharnn_py.errors import ConfigError
from sharnn_py.trainer.watch import TrainingError

WAIT = timedelta(hours=2)
"""How long ranks wait for one another: rank 0 scores the held-out text while the others wait."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    """The number of this process, from 0."""
    world: int
    """How many processes there are."""
    device: torch.device
    """Where this process computes."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def check(self, batch: int) -> None:
        """Raise `ConfigError` unless every rank gets as many of `batch` columns."""
        if batch % self.world:
            raise ConfigError(f"batch is {batch}, and {self.world} processes train; it must be a multiple of that")

    def columns(self, segment: Tensor) -> Tensor:
        """This rank's columns of a segment (T, B), on its device."""
        return segment.chunk(self.world, dim=1)[self.rank].to(self.device)

    def wrapped(self, model: nn.Module) -> nn.Module:
        """What runs `model` so that gradients are averaged over all ranks."""
        if self.world == 1:
            return model
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=ids)

    def averaging(self, model: nn.Module, now: bool) -> Any:
        """A context whose gradients are averaged over the ranks, or only summed up so far, if not `now`."""
        return nullcontext() if now or not isinstance(model, DistributedDataParallel) else model.no_sync()

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over all ranks."""
        if self.world > 1:
            value = value.clone()
            dist.all_reduce(value)
            value /= self.world
        return float(value)

    def told(self, value: Any) -> Any:
        """What rank 0 gave as `value`, on every rank."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def gathered(self, value: Any) -> list[Any]:
        """What each rank gave as `value`, in the order of ranks; on rank 0 alone, elsewhere an empty list."""
        if self.world == 1:
            return [value]
        boxes: list[Any] | None = [None] * self.world if self.first else None
        dist.gather_object(value, boxes)
        return boxes or []


def restarted() -> bool:
    """Whether `torchrun` has started these processes again, after one of them had died."""
    return _starts() > 0


def _starts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def all_ranks() -> Iterator[Ranks]:
    """The ranks that `torchrun` started, or this process alone; within, they can speak to one another."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world == 1:
        yield Ranks(0, 1, device)
        return
    # torchrun may keep its store when it starts processes again, where they would find the addresses of dead ones.
    store, rank, world = next(rendezvous("env://", timeout=WAIT))
    store = PrefixStore(f"start {_starts()}", store)
    dist.init_process_group("nccl" if cuda else "gloo", store=store, rank=rank, world_size=world, timeout=WAIT)
    try:
        yield Ranks(rank, world, device)
    except (dist.DistBackendError, RuntimeError) as error:
        if not isinstance(error, dist.DistBackendError) and "gloo" not in str(error):
            raise
        what = " ".join(str(error).split())
        raise TrainingError(
            f"process {rank} of {world} cannot reach the others, of which one may have ended ({what}); go on from what "
            "was saved last with --resume, or have torchrun do it: --max-restarts"
        ) from error
    finally:
        dist.destroy_process_group()
