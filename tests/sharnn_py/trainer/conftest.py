"""A short text, and settings of a model that trains in a moment."""

import importlib

import pytest
import torch

from sharnn_py.trainer.corpus import read_corpus
from sharnn_py.trainer.ranks import Ranks
from sharnn_py.trainer.run import Run
from sharnn_py.trainer.settings import Settings

ALONE = Ranks(0, 1, torch.device("cpu"))
SMALL = dict(emb=8, hidden=16, layers=2, max_memory=6, batch=4, bptt=7, rate=1e-2, warmup=5)


def text_of(size):
    """English enough to be learnt from: words of a few letters, drawn by a fixed rule, in lines."""
    generator = torch.Generator().manual_seed(7)
    words = ["in", "the", "beginning", "was", "a", "word", "and", "light", "upon", "waters"]
    drawn = torch.randint(0, len(words), (size,), generator=generator).tolist()
    text = " ".join(words[i] + ("\n" if n % 9 == 8 else "") for n, i in enumerate(drawn))
    return text.encode()[:size]


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(text_of(6000))
    return path


@pytest.fixture(scope="session")
def imported():
    """What every `sharnn train` imports at some point, so that its forks have it: a second of each."""
    for module in ("matplotlib.backends.backend_agg", "matplotlib.figure", "tensorboardX", "torch._dynamo"):
        importlib.import_module(module)


@pytest.fixture
def new_run(text):
    def new(ranks=ALONE, **settings):
        return Run(read_corpus(text), Settings(**{**SMALL, **settings}), ranks)

    return new
