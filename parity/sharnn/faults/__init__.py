"""Known faults: edits of the source that the suite, the tests of diagnosis and the laws must each find.

`FAULTS` is the whole catalogue, and `RECORDED` what `sharnn parity mutants` plants of it.
"""

from parity.sharnn.faults.catalogue import FAULTS

RECORDED = [fault for fault in FAULTS if fault.recording]
"""The faults that are compared with a recording."""

__all__ = ["FAULTS", "RECORDED"]
