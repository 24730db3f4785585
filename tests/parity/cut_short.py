"""The beginning of a packaged recording: as much of it as a test needs, since what follows costs as much again."""

import json
from functools import cache

from parity.recording.library import find
from parity.recording.recording import Recording
from parity.sharnn.header import is_baseline


@cache
def as_far_as(name, last, updates=False):
    """A recording of a SHA-RNN up to segment `last`, with its updates if asked for; any other one whole."""
    recording = find(name)
    if recording.is_data or is_baseline(recording):
        return recording
    kept = {}
    for key, tensor in recording.tensors.items():
        group, number = key.split("/")[:2]
        if (updates or group != "train") and (int(number) <= last if number.isdigit() else key != "train/loss_after"):
            kept[key] = tensor
    config = {**recording.config, "segs": recording.config["segs"][:last]}
    return Recording(name, contents=(kept, {**recording.metadata, "config": json.dumps(config)}))


def first_seen_at(name, first, after=1):
    """A recording up to the tensor that is the first to be wrong, and `after` segments that begin with what it left.

    Where that is inside the forward pass, nothing of the backward pass is kept.
    """
    group, number = first.split("/")[:2]
    cut = as_far_as(name, (int(number) if number.isdigit() else 1) + after, group in ("train", "loop"))
    if group != "eval" or cut.contents is None:
        return cut
    tensors, header = cut.contents
    kept = {key: tensor for key, tensor in tensors.items() if "grad" not in key.partition("/")[0]}
    return Recording(name, contents=(kept, header))
