"""Replaying the recorded data code, entry by entry: vocabulary, stream, batches, schedules.

Ids in the recording count from 1. The order among equally frequent tokens is that of a Julia Dict, so the recorded id
map is used for the streams, and vocabularies are compared as counts with the tokens that have them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.errors import RecordingError
from parity.recording.recording import Recording
from sharnn_py.batches import lay_out, segments
from sharnn_py.lamb import schedule
from sharnn_py.vocabulary import EOS, UNK, Vocabulary

SCHEDULE_UPDATES = 20
"""Updates of the recorded schedules, of which `SCHEDULE_WARMUP` is the fraction of warm-up."""
SCHEDULE_WARMUP = 0.15


@dataclass(frozen=True)
class Entry:
    """One entry of the recording and what the port has for it: integers, text, or float64 numbers."""

    name: str
    recorded: Any
    port: Any


def replay_data(recording: Recording) -> Iterator[Entry]:
    """Every entry of the recording. Raises `RecordingError` for one that is missing."""
    data = recording.data
    try:
        yield from _entries(data)
    except (KeyError, TypeError, IndexError) as error:
        raise RecordingError(f"{recording.label}: missing or malformed entry: {error!r}") from error


def _entries(data: dict[str, Any]) -> Iterator[Entry]:
    lines = data["text"].splitlines()
    yield Entry("text", data["text"].count("\n"), len(lines))
    counts = Counter(token for line in lines for token in line.split())
    yield Entry("i2v", _by_count(data["i2v"], counts), _by_count(Vocabulary.from_lines(lines).tokens, counts))
    at_least = Vocabulary.from_lines(lines, min_count=3).tokens
    yield Entry("vocab_mincount3", _by_count(data["vocab_mincount3"], counts), _by_count(at_least, counts))

    vocabulary = Vocabulary(data["i2v"])
    yield Entry("eos", data["eos"], vocabulary.encode_line("")[-1] + 1)
    yield Entry("unk", data["unk"], vocabulary.encode_line("not-a-token")[0] + 1)
    stream = list(vocabulary.encode(lines))
    yield Entry("stream", data["stream"], [i + 1 for i in stream])
    oov = vocabulary.encode(data["oov_text"].splitlines())
    yield Entry("oov_text", data["oov_text"].count("\n"), len(data["oov_text"].splitlines()))
    yield Entry("oov_stream", data["oov_stream"], [i + 1 for i in oov])
    for number, batches in enumerate(data["batches"]):
        yield from _batches(f"batches/{number}", batches, stream)
    for name, factors in data["schedules"].items():
        port = [schedule(name, t / SCHEDULE_UPDATES, SCHEDULE_WARMUP) for t in range(1, SCHEDULE_UPDATES + 1)]
        yield Entry(f"schedules/{name}", np.asarray(factors, dtype=np.float64), np.asarray(port, dtype=np.float64))


def _batches(name: str, recorded: dict[str, Any], stream: list[int]) -> Iterator[Entry]:
    """Recorded as (B, steps); the port's are (steps, B)."""
    data = lay_out(stream, recorded["batchsize"])
    pairs = list(segments(data, recorded["bptt"]))
    yield Entry(f"{name}/batchsize", recorded["batchsize"], data.shape[1])
    yield Entry(f"{name}/bptt", recorded["bptt"], pairs[0][0].shape[0])
    yield Entry(f"{name}/dataarray", recorded["dataarray"], (data.T + 1).tolist())
    yield Entry(f"{name}/x", recorded["x"], [(x.T + 1).tolist() for x, _ in pairs])
    yield Entry(f"{name}/y", recorded["y"], [(y.T + 1).tolist() for _, y in pairs])


def _by_count(tokens: Any, counts: Counter[str]) -> list[tuple[int, list[str]]]:
    """Runs of equally frequent tokens in the order they stand in, each with its tokens sorted; `<s>`, `<unk>` as is."""
    runs: list[tuple[int, list[str]]] = [(0, list(tokens[:2]))]
    for token in tokens[2:]:
        if runs[-1][0] != counts[token]:
            runs.append((counts[token], []))
        runs[-1][1].append(token)
    return [(count, run if run == [EOS, UNK] else sorted(run)) for count, run in runs]
