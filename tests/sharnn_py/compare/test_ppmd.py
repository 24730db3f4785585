"""What PPMd spends on each byte, against the size of what pyppmd writes."""

import pyppmd
import pytest

from sharnn_py.compare import ppmd
from sharnn_py.compare.ppmd import Ppmd
from sharnn_py.errors import MissingPackage
from tests.sharnn_py.compare.text import text

HISTORY, FOLLOWING = text(4000), text(3000, seed=2)
TRUNCATION = 1e-3
"""The coder divides an interval of 2^24 or more by totals below 2^14, whole: the rest, below 2^-10, is lost."""


def written(data, order):
    encoder = pyppmd.Ppmd7Encoder(order, 1 << 24)
    return len(encoder.encode(data) + encoder.flush())


@pytest.mark.parametrize("order", [2, 5, 16])
def test_the_bits_add_up_to_the_bytes_written(order):
    model = Ppmd(order, 16)
    bits = model.read(HISTORY)
    assert bits.min() > 0  # nor where the coder holds bytes back
    assert abs(bits.sum() - 8 * written(HISTORY, order)) < 8 * 6  # 5 bytes end the code, and a byte is not divided
    further = model.read(FOLLOWING)
    assert abs(further.sum() - 8 * (written(HISTORY + FOLLOWING, order) - written(HISTORY, order))) < 8


def test_learning_is_reading_without_telling():
    told, quiet = Ppmd(6, 16), Ppmd(6, 16)
    told.read(HISTORY)
    quiet.learn(HISTORY)
    assert told.read(FOLLOWING).tolist() == quiet.read(FOLLOWING).tolist()


@pytest.mark.parametrize("history", [b"", b"abracadabra", HISTORY])
def test_the_bits_are_those_of_a_distribution(history):
    total = 0.0
    for byte in range(256):
        model = Ppmd(4, 1)
        model.learn(history)
        total += 2 ** -model.read(bytes([byte]))[0]
    # At order 0 it keeps one part in 257 or fewer for an escape to what is none of the 256 bytes.
    assert 256 / 257 - 3 * TRUNCATION < total <= 1


def test_a_byte_costs_what_it_does_whatever_follows_it():
    bits = []
    for end in (b"", b"????"):
        model = Ppmd(6, 16)
        model.learn(HISTORY)
        bits.append(model.read(FOLLOWING + end)[: len(FOLLOWING)].tolist())
    assert bits[0] == bits[1]


def test_an_encoder_of_another_size_is_not_looked_into(monkeypatch):
    monkeypatch.setattr(ppmd, "_ENCODER_BYTES", ppmd._ENCODER_BYTES + 8)
    with pytest.raises(MissingPackage, match=r"pyppmd 1\.3 on CPython"):
        Ppmd(6, 16)


def test_what_does_not_look_like_a_range_coder_is_not_read(monkeypatch):
    monkeypatch.setattr(ppmd, "_RANGE_CODER_AT", ppmd._RANGE_CODER_AT - ppmd._WORD)  # the model
    with pytest.raises(MissingPackage, match="laid out differently"):
        Ppmd(6, 16)
