"""Segments without end, and going back to where they were."""

import pytest
import torch

from sharnn_py import InputError, lay_out, random_lengths, segments
from sharnn_py.trainer.columns import Columns

STREAM = torch.arange(203, dtype=torch.uint8)


@pytest.mark.parametrize("rule", ["paper", "julia"])
def test_the_first_epoch_is_that_of_segments(rule):
    columns = Columns(STREAM, 4, 9, rule, seed=3)
    lengths = random_lengths(9, rule, torch.Generator().manual_seed(3))
    for number, (x, y) in enumerate(segments(lay_out(STREAM.tolist(), 4), lengths)):
        tokens, targets, new = columns.take()
        assert new == (number == 0)
        assert torch.equal(tokens, x)
        assert torch.equal(targets, y)
    assert columns.taken == columns.steps == columns.position
    assert columns.take()[2]
    assert columns.epoch == 1


@pytest.mark.parametrize("rule", [None, "paper", "julia"])
@pytest.mark.parametrize("before", [0, 1, 3, 9, 14])
def test_from_a_place_the_same_segments_follow(rule, before):
    columns = Columns(STREAM, 4, 9, rule, seed=3)
    for _ in range(before):
        columns.take()
    place = {name: tensor.clone() for name, tensor in columns.place().items()}
    expected = [columns.take() for _ in range(12)]
    other = Columns(STREAM, 4, 9, rule, seed=99)
    other.take()
    other.go_to(place)
    for tokens, targets, new in expected:
        x, y, begins = other.take()
        assert torch.equal(x, tokens)
        assert torch.equal(y, targets)
        assert begins == new


def test_a_text_smaller_than_the_batch_is_refused():
    with pytest.raises(InputError, match="203 tokens in 150 sequences leave 1 steps each; at least 2 are needed"):
        Columns(STREAM, 150, 9, None, 0)
