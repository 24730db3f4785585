"""What a planted fault is: a change of the source, with what is known of it beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from parity.sharnn.faults.plant import Change

# The recordings that faults are run on: SHA-RNN.jl's of one, two and four blocks, two blocks with two heads and three
# sequences and an untied decoder, segments of single steps, segments longer than the memory, updates at a high rate.
JULIA_1, JULIA_2, JULIA_4 = (f"sha_rnn_jl/L{layers}_h1_tied_b2" for layers in (1, 2, 4))
JULIA_HEADS, JULIA_STEPS = "sha_rnn_jl/L2_h2_untied_b3", "sha_rnn_jl/L4_T1_steps"
JULIA_LONG, JULIA_LONG_4 = "sha_rnn_jl/L2_longseg", "sha_rnn_jl/L4_longseg"
JULIA_COSINE, JULIA_LINEAR = "sha_rnn_jl/L2_cosine_lr05", "sha_rnn_jl/L2_linear_lr05_untied"
# Smerity's: one and two blocks, four with two heads and three sequences, a wide Boom, the optimiser, and one that has
# the gradients inside the model.
PAPER_1, PAPER_2, PAPER_HEADS = "smerity/L1_h1_tied_b2", "smerity/L2_h1_tied_b2", "smerity/L4_h2_tied_b3"
PAPER_WIDE, PAPER_LAMB = "smerity/L4_wide_boom", "smerity/L4_h1_tied_b2_lamb"
PAPER_INSIDE = "smerity/jl_L2_h2_untied_b3"
BASELINE_2, BASELINE_3 = "sha_rnn_jl/baseline_l2", "sha_rnn_jl/baseline_l3"
DATA = "sha_rnn_jl/data_pipeline"


@dataclass(frozen=True)
class Fault:
    """One fault, and what must find it.

    To add one, write an entry into the file of `parity/sharnn/faults/catalogue/` that has its kind, and nothing else.
    It needs at least one expectation, and each that is given is checked by a test with the entry's name in it:
    `recording` with `first` and `hint` by `sharnn parity mutants` and tests/parity/test_faults.py, `scenes` by
    tests/parity/test_diagnosis.py (updates: test_diagnosis_updates.py), `laws` by tests/laws/test_faults.py.

    Expectations follow from what the change does; they are not copied from what the suite says.
    """

    name: str
    """As the command line takes it: lower case, with hyphens."""
    place: str
    """What kind of place it is in, such as "mask"."""
    description: str
    """What is wrong, in a line; empty where the name says it."""
    change: Change
    """The edit of the source that plants it."""
    recording: str = ""
    """The packaged recording that it is held against, the smallest that shows it; empty for none."""
    first: str = ""
    """The tensor of that recording that is wrong first. Where the recording does not hold the tensor that the fault is
    in, it is the first recorded one behind it."""
    hint: str | None = None
    """A regular expression that one of the suite's hints has to match; None where no hint is expected."""
    scenes: Mapping[str, str] = field(default_factory=dict)
    """Words that diagnosis' first hint has to contain, by the scene that it is shown. On a model of three small blocks:
    "julia" and "paper", all tensors under those semantics, "smerity", what Smerity's recordings have of the paper's,
    and variants that tests/parity/diagnosed.py names. On the third update of one parameter: "m_after" and "v_after",
    a moment after it, and "w_after", the parameter."""
    laws: Mapping[str, str] = field(default_factory=dict)
    """The law of docs/laws.md that it breaks, by the back end that breaks it."""

    @property
    def what(self) -> str:
        """What is wrong, in a line."""
        return self.description or self.name.replace("-", " ")
