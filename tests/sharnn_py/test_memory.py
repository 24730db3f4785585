"""Row 4: which memory rows are dropped before attending, against the two programs' own rules in words."""

import pytest
import torch

from sharnn_py import JULIA, PAPER, SHARNN, Config
from sharnn_py.layers import causal_mask
from sharnn_py.memory import most_keys_of_a_step, rows_dropped


def keys_seen(layers, N, M, T, semantics, layer=None):
    config = Config(vocab=2, emb=4, hidden=8, layers=layers, max_memory=N, semantics=semantics)
    layer = layers - 2 if layer is None else layer
    held = [M if config.attends(i) else 0 for i in range(layers)]
    return max(0, M - rows_dropped(config, held, T, layer)) + T


GRID = [(N, M, T) for N in (1, 2, 5, 12) for T in (1, 2, 4, 5, 6, 11, 12, 13, 20) for M in range(1, N + 1)]


@pytest.mark.parametrize(("N", "M", "T"), GRID)
def test_keys_seen_follow_the_table(N, M, T):
    assert keys_seen(2, N, M, T, JULIA) == max(T, min(M + T, N))
    assert keys_seen(4, N, M, T, JULIA) == (M + T if T <= N - 1 else max(T, M + N - 1))
    memory = list(range(M))
    assert keys_seen(4, N, M, T, PAPER) == T + len(memory[-(N - T) :])


@pytest.mark.parametrize("semantics", [JULIA, PAPER])
@pytest.mark.parametrize("layers", [2, 3])
def test_an_empty_memory_stays_empty(semantics, layers):
    for T in (1, 5, 6):
        assert keys_seen(layers, 5, 0, T, semantics) == T


def test_julia_cuts_every_memory_by_the_length_of_the_first():
    config = Config(vocab=2, emb=4, hidden=8, layers=3, max_memory=6, attention_layers=(0, 2), semantics=JULIA)
    assert rows_dropped(config, [5, 0, 2], 3, 2) == 2
    paper = Config(vocab=2, emb=4, hidden=8, layers=3, max_memory=6, attention_layers=(0, 2), semantics=PAPER)
    assert rows_dropped(paper, [5, 0, 2], 3, 2) == 0


def test_the_mask_hides_the_future_alone():
    mask = causal_mask(2, 3, torch.zeros(()))
    inf = float("inf")
    assert mask.tolist() == [[0, 0, 0, -inf, -inf], [0, 0, 0, 0, -inf], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize("attention", [(0,), (1,), (0, 1), (1, 2)])
@pytest.mark.parametrize("N", [1, 2, 3, 5])
def test_a_step_never_sees_more_keys_than_promised_and_sees_that_many(semantics, attention, N):
    """`most_keys_of_a_step` sizes a buffer: one too few loses a row, one too many never fills."""
    sizes = dict(vocab=5, emb=4, hidden=8, layers=3, max_memory=N, attention_layers=attention)
    model = SHARNN(Config(**sizes, semantics=semantics)).eval()
    state, seen = None, {}
    widths = []
    for token in range(2 * N + 3):
        _, state = model(torch.tensor([[token % 5]]), state, note=seen.__setitem__)
        widths += [seen[f"blocks.{i}.keys"].shape[0] for i in attention]
    assert max(widths) == most_keys_of_a_step(model.config)
