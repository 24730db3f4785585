"""Faults of the optimiser, MinTrustLAMB, as either program runs it.

SHA-RNN.jl's recordings have the moments, so that what goes into an update is told from what is made of it. A weight
decay of 1.2e-6 changes an update by less than float32 resolves, so the faults of decay here are of larger ones; and the
trust of the LSTM's joint norm is below the floor in every recording, as is that of its four norms.
"""

from __future__ import annotations

from parity.sharnn.faults.fault import JULIA_1, JULIA_COSINE, JULIA_LINEAR, PAPER_LAMB, Fault
from parity.sharnn.faults.plant import Edit, Value

PLACE = "optimiser"
STEP = 'm / (v.sqrt() + group["eps"])'


def _update(old: str, new: str) -> Edit:
    return Edit("sharnn_py.lamb:MinTrustLAMB._update", old, new)


def _julia(old: str, new: str) -> Edit:
    return Edit("sharnn_py.lamb:julia_lamb", old, new)


FAULTS = [
    Fault("gradients-not-clipped", "clip", "no parameter's gradient is clipped",
          _update('group["clip"] is not None', "False"), JULIA_1, "train/1/fstm/encoder.w", r"clip",
          scenes={"m_after": "does not clip the gradient"}),
    Fault("sparse-gradients-clipped", "clip",
          "the LSTM's gradient is clipped, too, which Julia means to do and does not",
          _julia("None if theirs in unclipped else 0.25", "0.25"), JULIA_1, "train/1/fstm/blocks.1.rnn.w", r"clip"),
    Fault("all-gradients-clipped-together", "clip", "one clip over all parameters in place of one for each",
          _julia('schedule_name=schedule_name)', "schedule_name=schedule_name, global_clip=0.25)"),
          JULIA_1, "train/1/fstm/encoder.w", r"clip"),
    Fault("clip-of-smeritys-left-out", "clip", "the clip over all parameters is left out",
          Edit("sharnn_py.lamb:MinTrustLAMB.step", "self.global_clip is not None", "False"),
          PAPER_LAMB, "train/1/param/encoder.weight", r"clip"),
    Fault("every-gradient-of-smeritys-clipped", "clip", "each parameter is clipped by itself, as in SHA-RNN.jl",
          Edit(
            "sharnn_py.lamb:paper_lamb",
            '"params": [p]} for name, p in model.named_parameters()]\n    return MinTrustLAMB(\n        groups,',
            '"params": [p], "clip": clip} for name, p in model.named_parameters()]\n    clip = None\n'
            "    return MinTrustLAMB(\n        groups,",
        ), PAPER_LAMB, "train/1/param/encoder.weight", r"clip"),
    Fault("first-beta-0.95", "moments", "beta1 is 0.95",
          _update('beta1, beta2 = group["betas"]', "beta1, beta2 = 0.95, 0.999"),
          JULIA_1, "train/1/fstm/encoder.w", r"0\.95", scenes={"m_after": "takes beta = 0.95"}),
    Fault("second-beta-0.99", "moments", "beta2 is 0.99",
          _update('beta1, beta2 = group["betas"]', "beta1, beta2 = 0.9, 0.99"),
          JULIA_1, "train/1/scndm/encoder.w", r"0\.99\b", scenes={"v_after": "takes beta = 0.99"}),
    Fault("betas-exchanged", "moments", "beta1 and beta2 change places", _update("beta1, beta2 =", "beta2, beta1 ="),
          JULIA_1, "train/1/fstm/encoder.w", r"betas?.*exchang|exchang.*beta|0\.999"),
    Fault("second-moment-of-the-first", "moments", "the second moment is of the first, not of the gradient",
          _update("addcmul_(g, g,", "addcmul_(m, m,"), JULIA_1, "train/1/scndm/encoder.w", r"first moment|\bm\b",
          scenes={"v_after": "the square of the first moment"}),
    Fault("moments-forgotten", "moments", "the first moment begins at zero with every update",
          _update('m.mul_(beta1)', "m.zero_()"), JULIA_1, "train/2/fstm/encoder.w", r"zero|forget|anew",
          scenes={"m_after": "starts m from zeros"}),
    Fault("first-moment-in-float16", "moments", "the first moment is kept in half precision",
          _update("step = m /", "m.copy_(m.half())\n        step = m /"),
          JULIA_1, "train/1/fstm/encoder.w", r"\bfloat16"),
    Fault("bias-correction", "step", "moments are corrected for their bias, as Adam's are",
          _update(
            'm / (v.sqrt() + group["eps"])',
            'm / (1 - beta1 ** group["step"]) / ((v / (1 - beta2 ** group["step"])).sqrt() + group["eps"])',
        ), JULIA_1, "train/1/param/encoder.w", r"bias", scenes={"w_after": "corrects the bias of both moments"}),
    Fault("bias-correction-of-smeritys", "step", "the same, in Smerity's",
          _update(
            'm / (v.sqrt() + group["eps"])',
            'm / (1 - beta1 ** group["step"]) / ((v / (1 - beta2 ** group["step"])).sqrt() + group["eps"])',
        ), PAPER_LAMB, "train/1/param/encoder.weight", r"bias"),
    Fault("eps-1e-8", "step", "eps is Adam's 1e-8", _update('(v.sqrt() + group["eps"])', "(v.sqrt() + 1e-8)"),
          JULIA_1, "train/1/param/encoder.w", r"1e-0?8"),
    Fault("eps-inside-the-root", "step", "eps is added inside the root",
          _update('(v.sqrt() + group["eps"])', '(v + group["eps"]).sqrt()'),
          PAPER_LAMB, "train/1/param/encoder.weight", r"inside", scenes={"w_after": "adds eps inside the root"}),
    Fault("decay-of-0.01-for-all", "step", "every parameter decays, by 0.01",
          _julia("1.2e-6 if one_dimensional else 0.0", "0.01"), JULIA_1, "train/1/param/encoder.w", r"0\.01\b"),
    Fault("trust-without-floor", "trust", "there is no floor under the trust ratio",
          _update('trust.clamp(min=group["min_trust"])', "trust"),
          JULIA_1, "train/1/param/encoder.w", r"floor|lower|least|min"),
    Fault("trust-left-out", "trust", "steps are not scaled by trust at all", _update("factor * trust", "factor"),
          JULIA_1, "train/1/param/encoder.w", r"trust", scenes={"w_after": "takes no trust ratio"}),
    Fault("norm-cap-1", "trust",
          "the weight's norm counts as at most 1, not 10, which shows where trust is above its floor",
          Value("sharnn_py.lamb:MAX_WEIGHT_NORM", "1.0"), JULIA_1, "train/1/param/blocks.1.lnstart.gamma", r"norm"),
    Fault("rate-doubled", "rate", "the learning rate is twice what it should be",
          _update('group["lr"] * factor', '2 * group["lr"] * factor'),
          PAPER_LAMB, "train/1/param/encoder.weight", r"\b2\b|twice|double",
          scenes={"w_after": "2 times the learning rate"}),
    Fault("schedule-one-update-late", "rate", "the schedule counts updates from 0",
          _update('group["step"] / self.total_steps', '(group["step"] - 1) / self.total_steps'),
          JULIA_COSINE, "train/1/param/encoder.w", r"schedule|one update", scenes={"w_after": "of the update before"}),
    Fault("no-warm-up", "rate", "the schedule does not warm up",
          Edit("sharnn_py.lamb:schedule", "x / warmup if x < warmup else SCHEDULES", "SCHEDULES"),
          JULIA_1, "train/1/param/encoder.w", r"warm"),
    Fault("cosine-of-twice-the-angle", "rate", "the cosine schedule has gone through its fall half way",
          Value(
            "sharnn_py.lamb:SCHEDULES",
            '{**SCHEDULES, "warmup_cosine": lambda x: 0.5 + 0.5 * math.cos(2 * math.pi * x)}',
        ), JULIA_COSINE, "train/2/param/encoder.w", r"schedule|rate|factor"),
    Fault("linear-schedule-without-its-jump", "rate", "the linear schedule falls from 1 at the end of the warm-up",
          Edit("sharnn_py.lamb:schedule", "else SCHEDULES[name](x)", "else SCHEDULES[name](x) / (1 - warmup)"),
          JULIA_LINEAR, "train/2/param/encoder.w", r"schedule|rate|factor"),
    Fault("clip-of-1", "clip", "gradients are clipped to 1, not 0.25", _update('group["clip"])', "1.0)"),
          scenes={"m_after": "clips the gradient's norm to 1"}),
    Fault("clip-of-0.3", "clip", "gradients are clipped to 0.3, not 0.25", _update('group["clip"])', "0.3)"),
          scenes={"m_after": "clips the gradient's norm to 0.3"}),
    Fault("every-number-of-a-gradient-clipped", "clip", "",
          _update('clip_to(gradients, group["clip"])', "[g.clamp_(-0.25, 0.25) for g in gradients]"),
          scenes={"m_after": "every number"}),
    Fault("first-beta-0.87", "moments", "beta1 is 0.87",
          _update('beta1, beta2 = group["betas"]', "beta1, beta2 = 0.87, 0.999"),
          scenes={"m_after": "takes beta = 0.87"}),
    Fault("first-moment-adds-all", "moments", "all of the gradient is added to the first moment",
          _update("alpha=1 - beta1", "alpha=1"), scenes={"m_after": "adds all of the new"}),
    Fault("moments-of-signs", "moments", "the moments are of the gradient's signs",
          _update("m.mul_(beta1)", "g.sign_(); m.mul_(beta1)"), scenes={"m_after": "the gradient's signs"}),
    Fault("eps-0.01", "step", "eps is 0.01", _update(STEP, STEP.replace('group["eps"]', "1e-2")),
          scenes={"w_after": "takes eps = 0.01"}),
    Fault("eps-0.0123", "step", "eps is an arbitrary number", _update(STEP, "m / (v.sqrt() + 0.0123)"),
          scenes={"w_after": "takes eps = 0.0123"}),
    Fault("no-decay", "step", "no parameter decays", _update('alpha=group["weight_decay"]', "alpha=0"),
          scenes={"w_after": "takes a weight decay of 0"}),
    Fault("decay-of-0.3", "step", "every parameter decays, by 0.3", _update('alpha=group["weight_decay"]', "alpha=0.3"),
          scenes={"w_after": "takes a weight decay of 0.3"}),
    Fault("trust-upside-down", "trust", "steps are divided by trust", _update("factor * trust", "factor / trust"),
          scenes={"w_after": "upside down"}),
    Fault("norm-cap-1-of-this-update", "trust", "the weight's norm counts as at most 1, not 10",
          _update(".clamp(max=MAX_WEIGHT_NORM)", ".clamp(max=1.0)"),
          scenes={"w_after": "limit of the weight's norm of 1"}),
    Fault("step-added", "step", "the step is added to the parameter, not subtracted", _update("w.sub_(", "w.add_("),
          scenes={"w_after": "adds the step"}),
    Fault("rate-of-1.3", "rate", "the learning rate is 1.3 times what it should be",
          _update('group["lr"] * factor', '1.3 * group["lr"] * factor'),
          scenes={"w_after": "another learning rate or schedule"}),
    Fault("no-schedule", "rate", "the learning rate is not scaled by the schedule",
          _update('group["lr"] * factor', 'group["lr"]'), scenes={"w_after": "scales its rate by 1,"}),
]  # fmt: skip
