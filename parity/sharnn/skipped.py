"""Why a recorded tensor was not compared."""

import re

from parity.recording.recording import Recording
from parity.sharnn.header import program_of

INPUT = "given to the port as its input"
UNUSED = "built by Smerity's program but never used in what it computes"
NO_ATTENTION = "the mask of a model without attention, which nothing uses"
NO_BIAS = "a bias that a tied decoder does not have under the semantics asked for"
UNKNOWN = "not a name of the recording format"


def reason(name: str, recording: Recording) -> str:
    """The reason in words; `UNKNOWN` if there is no good one."""
    if re.fullmatch(r"(eval|train)/\d+/[xy]", name):
        return INPUT
    if program_of(recording) == "paper" and re.search(
        r"param/blocks\.\d+\.(lnout|lnmid|lnmem|attn\.qkvs|attn\.r_gate)", name
    ):
        return UNUSED
    if re.fullmatch(r"eval/\d+/mask", name) and recording.config.get("nlayers") == 1:
        return NO_ATTENTION
    if name.endswith("/decoder.bias"):
        return NO_BIAS
    return UNKNOWN
