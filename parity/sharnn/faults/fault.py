"""What a mutant is: a fault of the port with what is known of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from parity.sharnn.faults.plant import Change

# The recordings that mutants are run on: SHA-RNN.jl's of one, two and four blocks, two blocks with two heads and three
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
class Mutant:
    """One fault."""

    name: str
    place: str
    """What kind of place it is in."""
    description: str
    """What is wrong, in a line."""
    recording: str
    """The packaged recording that it is held against."""
    first: str
    """The tensor that is wrong first. It follows from where the fault is; where the recording does not hold the tensor
    itself, it is the first recorded one behind it."""
    diagnosis: str | None
    """A regular expression of what the suite should say of it; None where it is not expected to say anything."""
    change: Change
