"""The operations of a loaded parameter, and of one update of one parameter by either program's LAMB."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parity.subject.scene import Operation

Part = tuple[str, tuple[int, ...]]
"""A piece of a flat vector, its name and shape."""


def parameter_operation(
    key: str, *, gates: str = "", parts: Sequence[Part] = (), others: Sequence[str] = ()
) -> Operation:
    """A loaded parameter, `key` in the scene's subject, against the recorded one, `key` in its reference.

    `gates` names its four blocks of rows, if it is an LSTM's ("ifco"); `parts` tells what a flat vector is made of;
    `others` are keys of what it may be taken for, such as an LSTM's other bias. Any other recorded parameter in the
    scene is tried, too.
    """
    return Operation(
        "parameter", {"x": key, **{f"other {other}": other for other in others}}, {"gates": gates, "parts": parts}
    )


def update_operations(
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    min_trust: float,
    update: int,
    clip: float | None,
    jointly: bool = False,
    factor: float = 1.0,
    other_factors: Mapping[str, float] | None = None,
    parts: Sequence[Part] = (),
) -> dict[str, Operation]:
    """One update of one parameter of the program, in its layout; `update` is its number from 1.

    Keys: `w`, `g`, `m`, `v` before the update (no `m` and `v` before the first), `joint`, the norm of all gradients
    together, a scalar; `clipped`, `m_after`, `v_after`, `update`, which is subtracted, and `w_after`. The subject's
    `update`, if it is given as w - w_after, lets a wrong rate be told by its size. `clip` is the limit of the norm of
    the gradient itself, or `jointly` of all. `factor` is the schedule's, `other_factors` those of other schedules by
    words for them (`schedule_factors`).
    """
    moments: dict[str, Any] = {"update": update, "weight_decay": weight_decay}
    clipping = {"limit": clip, "jointly": jointly, "norm_eps": 1e-6 if jointly else 0.0, "parts": parts}
    rate = {"lr": lr, "factor": factor, "other_factors": dict(other_factors or {})}
    rule = {"eps": eps, "min_trust": min_trust, "max_norm": 10.0, "betas": betas, "parts": parts}
    return {
        "clipped": Operation("clipped", {"g": "g", "joint": "joint", "w": "w"}, clipping),
        "m_after": Operation("moment", {"g": "clipped", "m": "m", "w": "w"}, {"beta": betas[0], **moments}),
        "v_after": Operation(
            "square_moment", {"g": "clipped", "v": "v", "m": "m_after"}, {"beta": betas[1], **moments}
        ),
        "update": Operation(
            "lamb", {"w": "w", "m": "m_after", "v": "v_after", "g": "clipped"}, {**rule, **moments, **rate}
        ),
        "w_after": Operation("moved", {"w": "w", "update": "update"}),
    }


def schedule_factors(name: str, update: int, total: int | None, warmup: float) -> tuple[float, dict[str, float]]:
    """The schedule's factor at an update, counted from 1, and others by words for what they would be.

    With None for `total` there is no schedule.
    """
    shapes: dict[str, Callable[[float], float]] = {
        "warmup_constant": lambda x: 1.0,
        "warmup_cosine": lambda x: 0.5 * (1 + math.cos(math.pi * x)),
        "warmup_linear": lambda x: 1 - x,
    }
    if total is None:
        return 1.0, {}

    def at(shape: str, t: float) -> float:
        x = t / total
        return x / warmup if x < warmup else shapes[shape](x)

    others = {
        "the schedule's of the update before": at(name, update - 1),
        "the schedule's of the update after": at(name, update + 1),
        "as after the warm-up": shapes[name](update / total),
        "as in the warm-up": update / total / warmup,
        **{f"as {other}": at(other, update) for other in shapes if other != name},
    }
    own = at(name, update)
    return own, {words: factor for words, factor in others.items() if factor != own}
