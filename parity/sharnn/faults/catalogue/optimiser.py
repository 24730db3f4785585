"""Faults of the optimiser, MinTrustLAMB, as either program runs it.

SHA-RNN.jl's recordings have the moments, so that what goes into an update is told from what is made of it. A weight
decay of 1.2e-6 changes an update by less than float32 resolves, so the faults of decay here are of larger ones; and the
trust of the LSTM's joint norm is below the floor in every recording, as is that of its four norms.
"""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_COSINE, JULIA_LINEAR, PAPER_LAMB, Mutant
from parity.sharnn.faults.plant import Edit, Value

PLACE = "optimiser"


def _update(old: str, new: str) -> Edit:
    return Edit("sharnn_py.lamb:MinTrustLAMB._update", old, new)


def _julia(old: str, new: str) -> Edit:
    return Edit("sharnn_py.lamb:julia_lamb", old, new)


MUTANTS = [
    Mutant(
        "gradients-not-clipped", "clip", "no parameter's gradient is clipped",
        JULIA_1, "train/1/fstm/encoder.w", r"clip", _update('group["clip"] is not None', "False"),
    ),
    Mutant(
        "sparse-gradients-clipped", "clip", "the LSTM's gradient is clipped, too, which Julia means to do and does not",
        JULIA_1, "train/1/fstm/blocks.1.rnn.w", r"clip", _julia("None if theirs in unclipped else 0.25", "0.25"),
    ),
    Mutant(
        "all-gradients-clipped-together", "clip", "one clip over all parameters in place of one for each",
        JULIA_1, "train/1/fstm/encoder.w", r"clip",
        _julia('schedule_name=schedule_name)', "schedule_name=schedule_name, global_clip=0.25)"),
    ),
    Mutant(
        "clip-of-smeritys-left-out", "clip", "the clip over all parameters is left out",
        PAPER_LAMB, "train/1/param/encoder.weight", r"clip",
        Edit("sharnn_py.lamb:MinTrustLAMB.step", "self.global_clip is not None", "False"),
    ),
    Mutant(
        "every-gradient-of-smeritys-clipped", "clip", "each parameter is clipped by itself, as in SHA-RNN.jl",
        PAPER_LAMB, "train/1/param/encoder.weight", r"clip",
        Edit(
            "sharnn_py.lamb:paper_lamb",
            '"params": [p]} for name, p in model.named_parameters()]\n    return MinTrustLAMB(\n        groups,',
            '"params": [p], "clip": clip} for name, p in model.named_parameters()]\n    clip = None\n'
            "    return MinTrustLAMB(\n        groups,",
        ),
    ),
    Mutant(
        "first-beta-0.95", "moments", "beta1 is 0.95",
        JULIA_1, "train/1/fstm/encoder.w", r"0\.95",
        _update('beta1, beta2 = group["betas"]', "beta1, beta2 = 0.95, 0.999"),
    ),
    Mutant(
        "second-beta-0.99", "moments", "beta2 is 0.99",
        JULIA_1, "train/1/scndm/encoder.w", r"0\.99\b",
        _update('beta1, beta2 = group["betas"]', "beta1, beta2 = 0.9, 0.99"),
    ),
    Mutant(
        "betas-exchanged", "moments", "beta1 and beta2 change places",
        JULIA_1, "train/1/fstm/encoder.w", r"betas?.*exchang|exchang.*beta|0\.999",
        _update("beta1, beta2 =", "beta2, beta1 ="),
    ),
    Mutant(
        "second-moment-of-the-first", "moments", "the second moment is of the first, not of the gradient",
        JULIA_1, "train/1/scndm/encoder.w", r"first moment|\bm\b", _update("addcmul_(g, g,", "addcmul_(m, m,"),
    ),
    Mutant(
        "moments-forgotten", "moments", "the first moment begins at zero with every update",
        JULIA_1, "train/2/fstm/encoder.w", r"zero|forget|anew", _update('m.mul_(beta1)', "m.zero_()"),
    ),
    Mutant(
        "first-moment-in-float16", "moments", "the first moment is kept in half precision",
        JULIA_1, "train/1/fstm/encoder.w", r"\bfloat16", _update("step = m /", "m.copy_(m.half())\n        step = m /"),
    ),
    Mutant(
        "bias-correction", "step", "moments are corrected for their bias, as Adam's are",
        JULIA_1, "train/1/param/encoder.w", r"bias",
        _update(
            'm / (v.sqrt() + group["eps"])',
            'm / (1 - beta1 ** group["step"]) / ((v / (1 - beta2 ** group["step"])).sqrt() + group["eps"])',
        ),
    ),
    Mutant(
        "bias-correction-of-smeritys", "step", "the same, in Smerity's",
        PAPER_LAMB, "train/1/param/encoder.weight", r"bias",
        _update(
            'm / (v.sqrt() + group["eps"])',
            'm / (1 - beta1 ** group["step"]) / ((v / (1 - beta2 ** group["step"])).sqrt() + group["eps"])',
        ),
    ),
    Mutant(
        "eps-1e-8", "step", "eps is Adam's 1e-8",
        JULIA_1, "train/1/param/encoder.w", r"1e-0?8", _update('(v.sqrt() + group["eps"])', "(v.sqrt() + 1e-8)"),
    ),
    Mutant(
        "eps-inside-the-root", "step", "eps is added inside the root",
        PAPER_LAMB, "train/1/param/encoder.weight", r"inside",
        _update('(v.sqrt() + group["eps"])', '(v + group["eps"]).sqrt()'),
    ),
    Mutant(
        "decay-of-0.01-for-all", "step", "every parameter decays, by 0.01",
        JULIA_1, "train/1/param/encoder.w", r"0\.01\b", _julia("1.2e-6 if one_dimensional else 0.0", "0.01"),
    ),
    Mutant(
        "trust-without-floor", "trust", "there is no floor under the trust ratio",
        JULIA_1, "train/1/param/encoder.w", r"floor|lower|least|min",
        _update('trust.clamp(min=group["min_trust"])', "trust"),
    ),
    Mutant(
        "trust-left-out", "trust", "steps are not scaled by trust at all",
        JULIA_1, "train/1/param/encoder.w", r"trust", _update("factor * trust", "factor"),
    ),
    Mutant(
        "norm-cap-1", "trust",
        "the weight's norm counts as at most 1, not 10, which shows where trust is above its floor",
        JULIA_1, "train/1/param/blocks.1.lnstart.gamma", r"norm", Value("sharnn_py.lamb:MAX_WEIGHT_NORM", "1.0"),
    ),
    Mutant(
        "rate-doubled", "rate", "the learning rate is twice what it should be",
        PAPER_LAMB, "train/1/param/encoder.weight", r"\b2\b|twice|double",
        _update('group["lr"] * factor', '2 * group["lr"] * factor'),
    ),
    Mutant(
        "schedule-one-update-late", "rate", "the schedule counts updates from 0",
        JULIA_COSINE, "train/1/param/encoder.w", r"schedule|one update",
        _update('group["step"] / self.total_steps', '(group["step"] - 1) / self.total_steps'),
    ),
    Mutant(
        "no-warm-up", "rate", "the schedule does not warm up",
        JULIA_1, "train/1/param/encoder.w", r"warm",
        Edit("sharnn_py.lamb:schedule", "x / warmup if x < warmup else SCHEDULES", "SCHEDULES"),
    ),
    Mutant(
        "cosine-of-twice-the-angle", "rate", "the cosine schedule has gone through its fall half way",
        JULIA_COSINE, "train/2/param/encoder.w", r"schedule|rate|factor",
        Value(
            "sharnn_py.lamb:SCHEDULES",
            '{**SCHEDULES, "warmup_cosine": lambda x: 0.5 + 0.5 * math.cos(2 * math.pi * x)}',
        ),
    ),
    Mutant(
        "linear-schedule-without-its-jump", "rate", "the linear schedule falls from 1 at the end of the warm-up",
        JULIA_LINEAR, "train/2/param/encoder.w", r"schedule|rate|factor",
        Edit("sharnn_py.lamb:schedule", "else SCHEDULES[name](x)", "else SCHEDULES[name](x) / (1 - warmup)"),
    ),
]  # fmt: skip
