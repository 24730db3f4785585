"""A training run between two updates: everything that the next one depends on, and the update itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sharnn_py.errors import CheckpointError, InputError
from sharnn_py.fast import Precision, accelerated
from sharnn_py.fast.precision import autocast
from sharnn_py.model import SHARNN, nll
from sharnn_py.state import State
from sharnn_py.trainer.columns import Columns
from sharnn_py.trainer.corpus import Corpus
from sharnn_py.trainer.length import Plan
from sharnn_py.trainer.optimiser import new_optimiser, rate_of
from sharnn_py.trainer.ranks import Ranks
from sharnn_py.trainer.recompute import recompute_blocks
from sharnn_py.trainer.saved import (
    Carried,
    carried_from,
    chosen,
    columns_of,
    joined,
    named,
    optimiser_groups,
    optimiser_tensors,
    restore_optimiser,
)
from sharnn_py.trainer.settings import Settings
from sharnn_py.trainer.watch import TrainingError, Watch, entropy_of


@dataclass
class Counters:
    """How far a run is."""

    update: int = 0
    """Updates done."""
    seconds: float = 0.0
    """Seconds that were spent on it, pauses between resumptions left out."""
    best_bits: float | None = None
    """The fewest bits a byte of the held-out text so far."""
    best_update: int = 0
    """The update after which that was."""
    worse: int = 0
    """Validations since then."""


@dataclass(frozen=True)
class Update:
    """What an update did."""

    nats: float
    """Mean loss a token over its segments, all ranks together."""
    tokens: int
    """Tokens it was computed on, all ranks together."""
    rate: float
    """The learning rate it was done with."""
    remark: str | None
    """What the user should know about it, if anything."""


class Run:
    """A model in training. `plan` is set by whoever knows how long it trains."""

    def __init__(self, corpus: Corpus, settings: Settings, ranks: Ranks) -> None:
        """A new run. Raises `ConfigError` for settings no model can have, `InputError` for too short a text."""
        ranks.check(settings.batch)
        self.corpus, self.settings, self.ranks = corpus, settings, ranks
        rule = settings.semantics if settings.random_lengths else None
        self.columns = Columns(corpus.train, settings.batch, settings.bptt, rule, settings.seed)
        self.model = settings.new_model(len(corpus.vocabulary)).to(ranks.device).train()
        self.optimiser = new_optimiser(self.model, settings)
        self.carried: Carried = None
        self.counters = Counters()
        self.watch = Watch()
        self.plan = Plan(0, 0.0, self.columns.steps)
        torch.manual_seed(settings.seed + ranks.rank)  # of dropout: different on each rank
        self.precision: Precision = "float32"
        self.threads = torch.get_num_threads()
        self.compute_in(self.precision, self.threads)
        self._wrapped = ranks.wrapped(self.model)
        self._entropy = entropy_of(corpus.train)

    def compute_in(self, precision: Precision, threads: int) -> None:
        """Have updates compute their products in `precision`, on `threads` threads."""
        self.precision, self.threads = precision, threads
        torch.set_num_threads(threads)
        accelerated(self.model, precision)
        if self.settings.recompute and isinstance(self.model, SHARNN):
            recompute_blocks(self.model)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters, and so of what is carried from segment to segment whatever products are in."""
        return next(self.model.parameters()).dtype

    @property
    def bytes_read(self) -> int:
        """Bytes of text that were trained on, each as often as it was read."""
        return round(self.columns.taken * self.settings.batch * self.corpus.bytes_per_token)

    def update(self) -> Update:
        """Do one update. Raises `TrainingError`, with nothing done, if the loss is not finite or has diverged."""
        settings, ranks = self.settings, self.ranks
        rate = rate_of(settings, self.counters.update + 1, self.plan.share(self.columns.taken))
        total, steps = torch.zeros((), dtype=self.dtype, device=ranks.device), 0
        for left in reversed(range(settings.accumulate)):
            tokens, targets, new = self.columns.take()
            with ranks.averaging(self._wrapped, now=not left):
                with autocast(ranks.device, self.precision):
                    logits, carried = self._wrapped(ranks.columns(tokens), None if new else self.carried)
                    loss = nll(logits, ranks.columns(targets))
                loss.backward()  # type: ignore[no-untyped-call]
            self.carried = (
                carried.to(self.dtype)
                if isinstance(carried, State)
                else (carried[0].to(self.dtype), carried[1].to(self.dtype))
            )
            total += loss.detach() * tokens.shape[0]
            steps += tokens.shape[0]
        nats = ranks.mean(total / steps)
        remark = self.watch.see(self.counters.update + 1, nats, self._entropy)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.counters.update += 1
        return Update(nats, steps * settings.batch, rate, remark)

    def contents(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that `restore` needs, as tensors and JSON-ready facts; complete on rank 0, to be asked on every rank.

        Raises `TrainingError` if a parameter is not finite: such a run is not worth going on with.
        """
        parameters = self.model.state_dict()
        broken = [name for name, tensor in parameters.items() if not torch.isfinite(tensor).all()]
        if broken:
            raise TrainingError(
                f"after update {self.counters.update:,} {broken[0]} and {len(broken) - 1} other parameters hold "
                "numbers that are not finite. Try a lower rate, or --precision float32"
            )
        random = {"cpu": torch.get_rng_state()}
        if self.ranks.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state()
        carried = self.ranks.gathered(columns_of(self.carried))
        randoms = {
            f"{rank}.{name}": t for rank, own in enumerate(self.ranks.gathered(random)) for name, t in own.items()
        }
        tensors = {
            **named("model", parameters),
            **named("optimiser", optimiser_tensors(self.optimiser)),
            **named("carried", joined(carried)),
            **named("random", randoms),
            **named("columns", self.columns.place()),
        }
        facts = {
            "settings": self.settings.to_json(),
            "text": {"sha256": self.corpus.digest, "tokens": list(self.corpus.vocabulary.tokens)},
            "counters": dataclasses.asdict(self.counters),
            "watch": dataclasses.asdict(self.watch),
            "plan": dataclasses.asdict(self.plan),
            "groups": optimiser_groups(self.optimiser),
            "ranks": self.ranks.world,
            "computed_in": [self.precision, self.threads],
        }
        return tensors, facts

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> str | None:
        """Go on from where `contents` was taken; return a sentence if it cannot be to the bit.

        Raises `InputError` if the run was of another text, `CheckpointError` if what is given is incomplete.
        """
        if facts["text"]["sha256"] != self.corpus.digest:
            raise InputError("the text is not the one that the run was begun with; give that one to go on")
        try:
            self.model.load_state_dict(chosen(tensors, "model"))
            restore_optimiser(self.optimiser, chosen(tensors, "optimiser"), facts["groups"])
            self.columns.go_to(chosen(tensors, "columns"))
            rank, world, device = self.ranks.rank, self.ranks.world, self.ranks.device
            self.carried = carried_from(chosen(tensors, "carried"), rank, world, device)
            self.counters, self.watch = Counters(**facts["counters"]), Watch(**facts["watch"])
            self.plan = Plan(**facts["plan"])
            self.precision, self.threads = facts["computed_in"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"the saved run is damaged: {error}") from error
        if facts["ranks"] != world:
            torch.manual_seed(self.settings.seed + rank + 1_000 * self.counters.update)
            return (
                f"the run was saved by {facts['ranks']} processes and goes on with {world}: the random numbers of "
                "dropout begin anew, and sums over the batch are rounded elsewhere; all else is as it was"
            )
        random = chosen(chosen(tensors, "random"), str(rank))
        torch.set_rng_state(random["cpu"])
        if device.type == "cuda" and "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"])
        return None
