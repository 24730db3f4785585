"""What is trained on both sides: a small model, SHA-RNN.jl's own start, a text, and one program's optimiser."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from julia_bridge import JuliaRule, PaperRule, Segment, Worker, initial_parameters
from julia_bridge.sharnn.model import Array
from sharnn_py.config import Config, Program
from sharnn_py.trainer.columns import Columns
from sharnn_py.trainer.corpus import Corpus, read_corpus, split_corpus
from sharnn_py.trainer.presets import presets
from sharnn_py.trainer.settings import Settings

SIZES: dict[str, Any] = dict(emb=16, hidden=32, layers=3, heads=2, max_memory=24, batch=4, bptt=16)
"""Of the model and its batches. The memory is longer than most segments, so that it is filled and cut."""
WARMUP_SHARE = 0.1
"""Of all updates, in which the rate rises: both programs' warm-up is over soon enough to train at the full rate."""
WORDS, TEXT_WORDS = 80, 12_000
"""Different words of the generated text, and how many it has in all."""


@dataclass(frozen=True)
class Case:
    """A training run that Julia and the port both do."""

    program: Program
    """Whose optimiser and schedule. The model is SHA-RNN.jl's in any case: Julia runs no other."""
    settings: Settings
    """The program's preset (`sharnn train --preset`), small, without dropout, warm-up shortened to `updates`."""
    corpus: Corpus
    text: str
    """What the text is, for reports."""
    parameters: dict[str, Array]
    """The start, float32, under SHA-RNN.jl's names."""
    updates: int

    @property
    def config(self) -> Config:
        """The model's."""
        return self.settings.new_model(len(self.corpus.vocabulary)).config  # type: ignore[return-value]

    @property
    def rule(self) -> JuliaRule | PaperRule:
        """The optimiser as Julia is told of it."""
        s = self.settings
        if self.program == "julia":
            return JuliaRule(lr=s.rate, total=self.updates, warmup=s.warmup / self.updates)
        return PaperRule(lr=s.rate, warmup=s.warmup, decay=s.weight_decay, clip=s.clip)

    def batches(self) -> Iterator[list[Segment]]:
        """The segments of every update, as `sharnn train` cuts them: random lengths by SHA-RNN.jl's rule."""
        s = self.settings
        columns = Columns(self.corpus.train, s.batch, s.bptt, "julia" if s.random_lengths else None, s.seed)
        for _ in range(self.updates):
            taken = [columns.take() for _ in range(s.accumulate)]
            yield [Segment(x.numpy().astype(np.int64), y.numpy().astype(np.int64), new) for x, y, new in taken]


def new_case(program: Program, updates: int, seed: int, text: Path | None, worker: Worker) -> Case:
    """A case on `text`, or on a generated one, with a start that Julia draws from `seed`.

    Raises `InputError` for a text that is too short, `OSError` for one that cannot be read, and what `Worker.call`
    raises.
    """
    corpus = generated_corpus(seed) if text is None else read_corpus(text)
    preset = presets()[program].settings
    settings = replace(
        preset,
        **SIZES,
        semantics="julia",
        dropout_embedding=0.0,
        dropout_hidden=0.0,
        dropout_output=0.0,
        warmup=max(1, round(WARMUP_SHARE * updates)),
        seed=seed,
        precision="float32",
    )
    named = f"generated, seed {seed}" if text is None else text.name
    case = Case(program, settings, corpus, named, {}, updates)
    return replace(case, parameters=initial_parameters(case.config, seed, worker))


def generated_corpus(seed: int) -> Corpus:
    """A text of made-up words, the n-th 1/n as frequent as the first: there is something to learn in it."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("etaoinshrdlucm", k=draw.randint(1, 7))) for _ in range(WORDS)]
    text = " ".join(draw.choices(words, [1 / (n + 1) for n in range(WORDS)], k=TEXT_WORDS)).encode()
    return split_corpus(text[:-100], text[-100:], "bytes", "the generated text")
