"""Cutting a text into phrases: at line ends, at the ends of sentences, at verses, or every so many bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sharnn_py.errors import ConfigError

LONGEST = 1000
"""Bytes of a sentence after which it is cut at the next white space: what has no full stops is no one phrase."""
_SENTENCE = re.compile(rb"[.!?]+[\"'\)\]\x80-\xff]*(?=\s)|\n[ \t]*\r?\n")
_HEADING = re.compile(rb"(\S.*?) (\d+)\s*$")
_VERSE = re.compile(rb"[ \t]+(\d+)[ \t]+")
_WHITE = re.compile(rb"\s")
_WORD = re.compile(rb"\w|[\x80-\xff]")


@dataclass(frozen=True)
class Phrase:
    """A part of a text, which a vector will stand for."""

    start: int
    """The offset of its first byte in the text."""
    end: int
    """The offset after its last byte."""
    place: str
    """What a reader calls its position: "Matthew 3:2", or its line; "line 7.2" is the second that begins there."""


def cut(data: bytes, how: str) -> list[Phrase]:
    """The phrases of a text, in order, disjoint, none without a letter or digit.

    `how` is "lines", "sentences", "verses" or a number of bytes. Verses are those of a text like the King James Bible
    of Debian's `bible-kjv-text`: chapters under headings such as "1 Samuel 3" after an empty line, verses that begin
    with white space and a number and end before the next, or at an empty line. Spans of bytes end at white space if
    there is any, and never within a character of UTF-8. Raises `ConfigError` for anything else.
    """
    cutter: Callable[[bytes], Iterator[tuple[int, int, str]]]
    if how.isascii() and how.isdigit() and int(how):
        return _phrases(data, _spans(data, int(how)))
    try:
        cutter = {"lines": _lines, "sentences": _sentences, "verses": _verses}[how]
    except KeyError:
        raise ConfigError(
            f"a text is not cut by {how!r}; give lines, sentences, verses, or a number of bytes such as 120"
        ) from None
    return _phrases(data, cutter(data))


def _phrases(data: bytes, spans: Iterator[tuple[int, int, str]]) -> list[Phrase]:
    found: list[Phrase] = []
    line, counted, of_line = 1, 0, 0
    for start, end, place in spans:
        part = data[start:end]
        start += len(part) - len(part.lstrip())
        end -= len(part) - len(part.rstrip())
        if start >= end or not _WORD.search(part):
            continue
        lines = data.count(b"\n", counted, start)
        of_line = of_line + 1 if found and not lines else 1
        line, counted = line + lines, start
        found.append(Phrase(start, end, place or (f"line {line}" if of_line == 1 else f"line {line}.{of_line}")))
    return found


def _lines(data: bytes) -> Iterator[tuple[int, int, str]]:
    at = 0
    for line in data.split(b"\n"):
        yield at, at + len(line), ""
        at += len(line) + 1


def _sentences(data: bytes) -> Iterator[tuple[int, int, str]]:
    start = 0
    for end in (*(stop.end() for stop in _SENTENCE.finditer(data)), len(data)):
        while end - start > LONGEST:
            middle = _end_of_word(data, start, start + LONGEST)
            yield start, middle, ""
            start = middle
        yield start, end, ""
        start = end


def _spans(data: bytes, size: int) -> Iterator[tuple[int, int, str]]:
    start = 0
    while start < len(data):
        end = _end_of_word(data, start, start + size)
        yield start, end, ""
        start = end


def _end_of_word(data: bytes, start: int, end: int) -> int:
    """Where a span of about data[start:end] ends: at its last white space, or else between two characters."""
    if end >= len(data):
        return len(data)
    for back in range(end, start, -1):
        if _WHITE.match(data, back):
            return back
    border = end
    while border > start and _within_character(data, border):
        border -= 1
    while border == start or _within_character(data, border):  # a character alone is longer
        border += 1
    return border


def _within_character(data: bytes, at: int) -> bool:
    return at < len(data) and data[at] & 0xC0 == 0x80


def _verses(data: bytes) -> Iterator[tuple[int, int, str]]:
    at, chapter = 0, ""
    begun: tuple[int, int, str] | None = None
    for line in data.splitlines(keepends=True):
        verse, heading = _VERSE.match(line), _HEADING.fullmatch(line)
        if verse or not line.strip():
            if begun:
                yield begun
            begun = None
        if verse and chapter:
            begun = at + verse.end(), at + len(line), f"{chapter}:{verse[1].decode()}"
        elif begun:
            begun = begun[0], at + len(line), begun[2]
        elif heading:
            chapter = line.decode(errors="replace").strip()
        at += len(line)
    if begun:
        yield begun
