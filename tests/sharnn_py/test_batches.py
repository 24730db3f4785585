"""Streams to segments; every fault of SHA-RNN.jl's data code by name, and what is done instead."""

import itertools

import pytest
import torch

from sharnn_py import ConfigError, InputError, lay_out, random_lengths, segments


def generator():
    return torch.Generator().manual_seed(0)


def test_contiguous_pieces_side_by_side_and_the_rest_dropped():
    assert lay_out(range(7), 2).T.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_targets_are_one_step_on_and_neighbours_share_a_column():
    data = lay_out(range(12), 2)
    pairs = [(x.T.tolist(), y.T.tolist()) for x, y in segments(data, 2)]
    assert pairs == [
        ([[0, 1], [6, 7]], [[1, 2], [7, 8]]),
        ([[2, 3], [8, 9]], [[3, 4], [9, 10]]),
        ([[4], [10]], [[5], [11]]),
    ]


def test_fault_maxsize_keeps_one_token_too_many__exactly_max_size_are_kept():
    assert lay_out(range(100), 1, max_size=7).numel() == 7
    assert lay_out(itertools.count(), 2, max_size=8).T.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_fault_batchmajor_slices_the_batch_axis__time_is_always_the_first_axis():
    x, y = next(segments(lay_out(range(20), 2), 3))
    assert x.shape == y.shape == (3, 2)
    assert torch.equal(x[1:], y[:-1])


@pytest.mark.parametrize("bptt", [9, 10, 1000])
def test_fault_bptt_past_the_data_is_a_bounds_error__the_segment_is_as_long_as_the_data(bptt):
    (x, y), *rest = segments(lay_out(range(20), 2), bptt)
    assert not rest
    assert x.shape == (9, 2)
    assert y[-1].tolist() == [9, 19]


def test_fault_a_random_length_can_be_0__it_is_at_least_1():
    assert min(itertools.islice(random_lengths(3, "julia", generator()), 500)) == 1


def test_random_lengths_follow_each_programs_rule():
    julia = list(itertools.islice(random_lengths(100, "julia", generator()), 4000))
    assert julia[0] == 100
    assert max(julia) > 105
    assert sum(x < 75 for x in julia) / 4000 == pytest.approx(0.1, abs=0.02)
    paper = list(itertools.islice(random_lengths(100, "paper", generator()), 4000))
    assert max(paper) == 100
    assert sum(x < 75 for x in paper) / 4000 == pytest.approx(0.05, abs=0.015)
    assert min(itertools.islice(random_lengths(6, "paper", generator()), 500)) == 5


def test_random_lengths_cover_the_data():
    data = lay_out(range(400), 2)
    covered = [x for x, _ in segments(data, random_lengths(20, "julia", generator()))]
    assert torch.equal(torch.cat(covered), data[:-1])


def test_bad_input():
    with pytest.raises(InputError, match="at least 2 are needed"):
        lay_out(range(3), 2)
    with pytest.raises(ConfigError, match="batch is 0"):
        lay_out(range(3), 0)
    with pytest.raises(ConfigError, match="segment length is 0"):
        list(segments(lay_out(range(8), 1), 0))
    with pytest.raises(ConfigError, match="program is 'knet'"):
        next(random_lengths(5, "knet", generator()))
