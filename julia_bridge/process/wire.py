"""How values travel between Python and Julia: one message in shared memory, read and written here and in wire.jl.

A message is a length (8 bytes), the value's structure of that many bytes, and its arrays' elements, each array on a
multiple of 64 bytes. Numbers are in the machine's byte order. The structure is a tag and what the tag says:

    n               None, nothing                   l count values     list, Vector{Any}
    b byte          bool, Bool                      t count values     tuple, Tuple
    i int64         int, Int64                      m count (key value)...  dict of str, Dict{String,Any}
    r float64       float, Float64                  a element rank sizes offset  numpy array, Array
    s count bytes   str, String

An array's sizes stand in Julia's order, the fastest axis first: the reverse of numpy's. The elements are the same bytes
on both sides, so no axis is ever moved.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from sharnn_py.errors import InputError

ALIGNMENT = 64
ELEMENTS: dict[np.dtype[Any], bytes] = {
    np.dtype(np.float32): b"f",
    np.dtype(np.float64): b"d",
    np.dtype(np.int32): b"i",
    np.dtype(np.int64): b"q",
    np.dtype(np.float16): b"h",
    np.dtype(np.bool_): b"b",
}
DTYPES: dict[bytes, np.dtype[Any]] = {code: dtype for dtype, code in ELEMENTS.items()}
NUMBERS = {b"b": "=?", b"i": "=q", b"r": "=d"}


def aligned(size: int) -> int:
    """`size` rounded up to where the next array may start."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Message:
    """A value on its way to Julia. `size` is the bytes it takes; `write` puts it into memory of at least that size.

    Raises `InputError` for a value that has no counterpart, naming where in the value it stands.
    """

    def __init__(self, value: object) -> None:
        self._structure = bytearray()
        self._arrays: list[tuple[int, np.ndarray[Any, Any]]] = []
        self._data_size = 0
        self._add(value, "the value")
        self._data_start = aligned(8 + len(self._structure))
        self.size = self._data_start + self._data_size

    def write(self, memory: memoryview) -> None:
        """Copy structure and elements into `memory`: the one copy made of an argument on the Python side."""
        struct.pack_into("=Q", memory, 0, len(self._structure))
        memory[8 : 8 + len(self._structure)] = self._structure
        for offset, array in self._arrays:
            np.copyto(np.ndarray(array.shape, array.dtype, memory, self._data_start + offset), array)

    def _add(self, value: object, where: str) -> None:
        out = self._structure
        if value is None:
            out += b"n"
        elif isinstance(value, bool | np.bool_):
            out += struct.pack("=cB", b"b", bool(value))
        elif isinstance(value, int | np.integer):
            if not -(2**63) <= value < 2**63:
                raise InputError(f"{where} is {value}, which no Int64 holds: integers go to Julia as Int64.")
            out += struct.pack("=cq", b"i", int(value))
        elif isinstance(value, float | np.floating):
            out += struct.pack("=cd", b"r", float(value))
        elif isinstance(value, str):
            out += b"s"
            self._add_text(value)
        elif isinstance(value, np.ndarray):
            self._add_array(value, where)
        elif isinstance(value, list | tuple):
            out += struct.pack("=cQ", b"l" if isinstance(value, list) else b"t", len(value))
            for index, item in enumerate(value):
                self._add(item, f"{where}[{index}]")
        elif isinstance(value, Mapping):
            out += struct.pack("=cQ", b"m", len(value))
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InputError(f"{where} has the key {key!r}: the keys of a dict that goes to Julia are strings.")
                self._add_text(key)
                self._add(item, f"{where}[{key!r}]")
        else:
            raise InputError(
                f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which does not go to Julia. "
                "What does: None, bool, int, float, str, list, tuple, dict with str keys, and numpy arrays."
            )

    def _add_text(self, text: str) -> None:
        encoded = text.encode()
        self._structure += struct.pack("=Q", len(encoded)) + encoded

    def _add_array(self, array: np.ndarray[Any, Any], where: str) -> None:
        element = ELEMENTS.get(array.dtype)
        if element is None:
            raise InputError(
                f"{where} is a numpy array of {array.dtype}; those of float16, float32, float64, int32, int64 "
                "and bool go to Julia."
            )
        sizes_and_offset = (*reversed(array.shape), self._data_size)
        self._structure += struct.pack(f"=ccB{array.ndim + 1}Q", b"a", element, array.ndim, *sizes_and_offset)
        self._arrays.append((self._data_size, array))
        self._data_size += aligned(array.nbytes)


def read(memory: memoryview) -> Any:
    """The value of a message that Julia wrote. Arrays are copied out, so that the memory can be used again."""
    (length,) = struct.unpack_from("=Q", memory)
    return _Reader(memory, aligned(8 + length)).value()


class _Reader:
    def __init__(self, memory: memoryview, data_start: int) -> None:
        self._memory = memory
        self._data_start = data_start
        self._at = 8

    def value(self) -> Any:
        tag = self._take("=c")
        if tag in NUMBERS:
            return self._take(NUMBERS[tag])
        if tag == b"n":
            return None
        if tag == b"s":
            return self._text()
        if tag == b"a":
            return self._array()
        count = self._take("=Q")
        if tag == b"m":
            return {self._text(): self.value() for _ in range(count)}
        items = [self.value() for _ in range(count)]
        return tuple(items) if tag == b"t" else items

    def _take(self, form: str) -> Any:
        (item,) = struct.unpack_from(form, self._memory, self._at)
        self._at += struct.calcsize(form)
        return item

    def _text(self) -> str:
        start = self._at + 8
        self._at = start + self._take("=Q")
        return str(self._memory[start : self._at], "utf-8")

    def _array(self) -> np.ndarray[Any, Any]:
        dtype = DTYPES[self._take("=c")]
        sizes = [self._take("=Q") for _ in range(self._take("=B"))]
        offset = self._data_start + self._take("=Q")
        return np.ndarray(tuple(reversed(sizes)), dtype, self._memory, offset).copy()
