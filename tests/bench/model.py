"""The port's forward pass and training step against the plain statement, and the cost of not asking for intermediates.

Bounds: no slower than the plain statement; passing no note and passing one that does nothing take the same time.
`ALLOWED` is the noise of a ratio of medians here, seen by timing one function against itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sharnn_py import JULIA, PAPER, SHARNN, Config, nll
from sharnn_py.state import LayerState, State
from tests.bench.plain import forward, norms
from tests.bench.timing import medians

ALLOWED = 1.05
SIZES = {
    "small (emb 64, T 64, B 4)": (Config(vocab=200, emb=64, hidden=256, layers=4, max_memory=256), 64, 4),
    "large (emb 512, T 128, B 4)": (Config(vocab=200, emb=512, hidden=2048, layers=4, max_memory=512), 128, 4),
}


def rows() -> Iterator[tuple[str, float, bool]]:
    """Name, ratio to the plain statement, and whether it is within bounds."""
    for size, (config, steps, batch) in SIZES.items():
        for name, semantics in (("julia", JULIA), ("paper", PAPER)):
            config = Config(**{**config.__dict__, "semantics": semantics})
            model = SHARNN(config, torch.Generator().manual_seed(0))
            tokens = torch.randint(0, config.vocab, (steps, batch), generator=torch.Generator().manual_seed(0))
            for what, ratio in _ratios(model, tokens):
                yield f"{what}, {name}, {size}", ratio, ratio <= ALLOWED


def _ratios(model: SHARNN, tokens: Tensor) -> Iterator[tuple[str, float]]:
    targets, config = tokens.roll(-1, 0), model.config
    zero = State.zeros(config, tokens.shape[1])
    memory = torch.randn(tokens.shape[0], tokens.shape[1], config.emb, generator=torch.Generator().manual_seed(1))
    layers = [LayerState(s.h, s.c, memory if config.attends(i) else s.memory) for i, s in enumerate(zero.layers)]
    state = State(tuple(layers))

    def port() -> Tensor:
        return nll(model(tokens, state)[0], targets)

    def noting() -> Tensor:
        return nll(model(tokens, state, lambda name, tensor: None)[0], targets)

    plain_norms = norms(model)

    def plain() -> Tensor:
        return forward(model, plain_norms, tokens, targets, memory)

    torch.testing.assert_close(port(), plain(), rtol=1e-5, atol=0)

    def step(loss: Callable[[], Tensor]) -> Callable[[], None]:
        def run() -> None:
            model.zero_grad()
            loss().backward()

        return run

    forwards = medians({"plain": plain, "port": port, "noting": noting})
    yield "forward", forwards["port"] / forwards["plain"]
    yield "forward without intermediates against noting nothing", forwards["port"] / forwards["noting"]
    steps = medians({"plain": step(plain), "port": step(port)})
    yield "training step", steps["port"] / steps["plain"]
