"""PPMd, variant H (Shkarin 2002), as pyppmd has it, with the exact code length of every byte.

pyppmd returns compressed bytes, so what a single byte costs cannot be told from what it returns. It can be told from
the state of the range coder (Martin 1979), whose interval each coded byte narrows: with S whole bytes of code shifted
out and an interval of width R in units of 2^-32, log2(2^32 / R) + 8 S bits have been spent. The encoder is pyppmd's
own, through its interface; S and R are read, never written, where the encoder's object points to them. How that object
is laid out is a matter of pyppmd's release, so it is checked before it is relied on.
"""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pyppmd
from numpy.typing import NDArray

from sharnn_py.errors import MissingPackage

_WORD = ctypes.sizeof(ctypes.c_void_p)
_RANGE_CODER_AT = object.__basicsize__ + 2 * _WORD  # after the object's head, a lock and the model
_ENCODER_BYTES = object.__basicsize__ + 4 * _WORD  # these, the range coder, and two flags
_WHOLE = 2**32 - 1
"""The width of the interval before anything is coded."""


class _RangeCoder(ctypes.Structure):
    """The state of 7-Zip's range encoder for PPMd, `CPpmd7z_RangeEnc` of the LZMA SDK, as far as it is read here."""

    _fields_ = (
        ("low", ctypes.c_uint64),
        ("range", ctypes.c_uint32),
        ("cache", ctypes.c_ubyte),
        ("pending", ctypes.c_uint64),
    )


class Ppmd:
    """A PPMd model of contexts of up to `order` bytes in `megabytes` of memory; it learns from all that it reads.

    It is a `sharnn_py.compare.contender.Reader`. When the memory is full, variant H forgets everything and begins anew.
    Raises `MissingPackage` for a pyppmd whose encoder is laid out differently from release 1.3's on CPython.
    """

    parameters = None

    def __init__(self, order: int, megabytes: int) -> None:
        self.bytes_seen = 0
        self._encoder = pyppmd.Ppmd7Encoder(order, megabytes << 20)
        self._coder = _range_coder(self._encoder)
        self._written = 0

    def learn(self, text: bytes) -> None:
        """Read `text` without saying what each byte costs, some ten times as fast as `read`."""
        self._written += len(self._encoder.encode(text))
        self.bytes_seen += len(text)

    def read(self, text: bytes) -> NDArray[np.float64]:
        """The bits that PPMd spends on each byte of `text`, after all that was read before, (len(text),)."""
        spent = np.empty(len(text) + 1)
        spent[0] = self._spent()
        for i in range(len(text)):
            self._written += len(self._encoder.encode(text[i : i + 1]))
            spent[i + 1] = self._spent()
        self.bytes_seen += len(text)
        return np.diff(spent)

    def _spent(self) -> float:
        # Bytes that a carry may still change are held back by the coder, and are shifted out all the same.
        return float(8 * (self._written + self._coder.pending) - math.log2(self._coder.range))


def _range_coder(encoder: pyppmd.Ppmd7Encoder) -> _RangeCoder:
    """The range coder of an encoder that has coded nothing yet, which is what shows that it is one."""
    if type(encoder).__basicsize__ == _ENCODER_BYTES:
        address = ctypes.c_void_p.from_address(id(encoder) + _RANGE_CODER_AT).value
        if address:
            coder = _RangeCoder.from_address(address)
            if (coder.low, coder.range, coder.pending) == (0, _WHOLE, 1):
                return coder
    raise MissingPackage(
        f"what a byte costs PPMd is read from pyppmd 1.3 on CPython, and pyppmd {pyppmd.__version__} is laid out "
        'differently here: pip install "pyppmd==1.3.*", or leave PPMd out with --only'
    )
