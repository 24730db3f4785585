"""Operands for every operation that diagnosis knows: enough that every variant of it can be told from the rest."""

import math

import torch

from parity.diagnosis.definition import Operands

T, B, H, V = 5, 3, 8, 13


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed + 31 * len(shape) + sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def ids(*shape, below=V, seed=0):
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(seed))


def example(tensors, **settings):
    return Operands(tensors, settings, {role: f"tensor.{role}" for role in tensors})


def activations():
    x = 2 * draw(T, B, H)
    functions = ("sigmoid", "tanh", "gelu_sigmoid", "gelu_erf", "relu", "identity")
    return [example({"x": x}, function=function) for function in functions] + [
        example({"x": 3 * x}, function="relu6"),
        example({"x": x}, function="leaky_relu", slope=0.3),
        example({"x": x}, function="elu", slope=0.7),
    ]


def attention():
    q, k, weights = draw(T, B, H), draw(7, B, H), draw(B, 2, T, 7).softmax(-1)
    mixes = {"weights": weights, "values": k, "keys": draw(7, B, H, seed=1)}
    return {
        "attention_products": [
            example({"q": q, "k": k}, heads=2),
            example({"q": q, "k": draw(T, B, H, seed=1)}, heads=4),
        ],
        "attention_mix": [
            example(mixes, heads=2),
            example({**mixes, "weights": draw(B, 2, 7, 7).softmax(-1)}, heads=2),
        ],
        "merge_heads": [example({"x": draw(B, 2, T, 6)})],
        "attention_scale": [
            example({"x": draw(batch, heads, steps, keys)}, width=width, heads=heads, sqrt_of=of)
            for batch, heads, steps, keys, width in ((4, 3, T, 11, 7), (5, 2, 13, 33, 40))
            for of in ("queries", "width")
        ],
    }


def masks():
    new, memory = draw(T, B, H), draw(4, B, H)
    hidden = torch.full((T, T + 4), -math.inf, dtype=torch.float64).triu(5)
    x = draw(B, 2, T, T + 4)
    square = torch.full((T, T), -math.inf, dtype=torch.float64).triu(1)
    masked = {"x": x + hidden, "unmasked": x, "mask": hidden}
    return {
        "causal_mask": [example({"new": new, "memory": memory}), example({"new": new})],
        "masked": [example({"x": x, "mask": hidden}), example({"x": draw(B, 2, T, T), "mask": square})],
        "softmax": [
            example({"x": draw(B, 2, T, 7)}),
            example(masked),
            example({"x": draw(B, 2, T, 7)}, axis=-3),
            example({"x": draw(B, T, 7)}, log=True),
            example({role: masked[role] for role in ("x", "unmasked")}),
            example({"x": draw(2, T, T)}),
        ],
    }


def recurrent(gates, states):
    """Layers of square weights, of others, without biases, and of either output."""
    found = []
    for width, biases, output in (
        (H, True, "y"),
        (6, True, "y"),
        (H, False, "y"),
        *((H, True, state) for state in states),
    ):
        tensors = {
            "x": draw(3, B, width),
            "weight_ih": 0.7 * draw(gates * H, width),
            "weight_hh": 0.6 * draw(gates * H, H),
        }
        if width == H:
            tensors["weight_hh"] = 0.6 * draw(gates * H, H, seed=1)
        if biases:
            tensors |= {"bias_ih": draw(gates * H), "bias_hh": draw(gates * H, seed=1)}
        tensors |= {state: draw(B, H, seed=seed) for seed, state in enumerate(states, 3)}
        found.append(example(tensors, output=output))
    if "c" in states:  # a cell beyond every limit
        found.append(example({**found[0].tensors, "c": 30 * draw(B, H)}, output="y"))
    return found


def rows():
    x, older, newer = draw(9, B, H), draw(6, B, H, seed=1), draw(4, B, H)
    carried = {"x": draw(T, B, H, seed=2), "exchanged": draw(T, B, H), "before": draw(T, B, H, seed=1)}
    return {
        "concat": [example({"first": older, "second": newer})],
        "last_rows": [example({"x": x}, rows=4), example({"x": draw(8, B, H)}, rows=2), example({"x": x}, rows=12)],
        "drop_rows": [example({"x": x}, rows=4), example({"x": x}), example({"x": x}, rows=0)],
        "carried": [
            example({**carried, "whole": draw(12, B, H, seed=3), "new": newer}, rows=2),
            example({"x": x[-1], "before": draw(B, H), "steps": x}),
            example({**carried, "whole": draw(13, B, H, seed=3)}, rows=5),
        ],
    }


def optimiser():
    w, g, m, v = draw(6, 4), draw(6, 4, seed=1), draw(6, 4, seed=2), 4 * draw(6, 4, seed=3).square()
    moments = {"beta": 0.91, "update": 3}
    sizes = {"lr": 0.05, "update": 3, "betas": (0.9, 0.999), "min_trust": 0.23, "weight_decay": 0.03, "max_norm": 3.7}
    others = {"the warm-up's": 0.3, "the end's": 0.0}
    parts = (("a", (2, 4)), ("b", (4, 4)))
    lamb = {"w": w, "m": m, "v": v, "g": g}
    small, large = {**lamb, "w": w / 50}, {**lamb, "w": 40 * w}
    tiny = {**lamb, "v": 1e-10 * v, "m": 1e-5 * m}
    middling = {**lamb, "w": 0.7 * w, "m": m / 3}
    smaller = {**lamb, "w": w / 6, "m": m}
    smallest = {**lamb, "w": w / 1000}
    return {
        "clipped": [
            example({"g": 3 * g, "joint": torch.tensor(40.0, dtype=torch.float64)}, limit=0.3, parts=parts),
            example({"g": 3 * g, "joint": torch.tensor(40.0, dtype=torch.float64)}, limit=0.3, jointly=True),
            example({"g": 3 * g}),
            example({"g": g / 100}, limit=0.3),
            example({"g": 40 * g}, limit=0.3),
        ],
        "moment": [example({"g": g, "m": m, "w": 1000 * w}, **moments), example({"g": g, "m": m}, beta=0.9)],
        "square_moment": [example({"g": g, "v": v, "m": m}, **moments)],
        "moved": [example({"w": w, "update": g})],
        "lamb": [
            example(lamb, **sizes, factor=0.7, other_factors=others, parts=parts),
            *(example(tensors, **sizes) for tensors in (small, large, tiny, middling, smaller, smallest)),
            example(large, **{**sizes, "max_norm": None}),
        ],
    }


def parameters():
    matrix, gates = draw(4 * 6, 6), {"gates": "ifco"}
    flat = torch.cat([draw(24, 6).flatten(), draw(24, 6, seed=1).flatten(), draw(24), draw(24, seed=1)])
    parts = (("weight_ih", (24, 6)), ("weight_hh", (24, 6)), ("bias_ih", (24,)), ("bias_hh", (24,)))
    return [
        example({"x": draw(12, 4), "other": draw(12, 4, seed=1)}),
        example({"x": draw(12, 8)}),
        example({"x": draw(24)}),
        example({"x": matrix, "other": draw(24, 6, seed=1)}, **gates),
        example({"x": flat.reshape(-1, 1, 1)}, parts=parts, **gates),
    ]


def norms():
    x, weight, bias = draw(T, B, H), 1 + draw(H) / 2, draw(H)
    full, small = {"x": x, "weight": weight, "bias": bias}, {"x": 1e-3 * x, "weight": weight, "bias": bias}
    tiny = {"x": 1e-6 * x, "weight": weight}
    settings = [{}, {"unbiased": True, "eps_outside": True}]
    return [example(tensors, **form) for tensors in (full, small, tiny) for form in settings]


def functions():
    """What a module's `forward` calls between its submodules."""
    x, y = draw(2, 3, 4, 6), draw(2, 3, 4, 6, seed=1)
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    scores = draw(2, 3, 5, 5)
    alike = [("takes atan", "erf", torch.atan)]
    parts = [("takes part 2 of 2", "part 1", lambda x: x.chunk(2, -1)[1])]
    return {
        "call": [example({"0": 4 * x}, call=torch.erf, others=alike)],
        "move": [
            example({"x": draw(2, 5, 12)}, call=lambda x: x.reshape(2, 5, 3, 4), words="view"),
            example({"x": x}, call=lambda x: x.transpose(1, 2), words="transpose(1, 2)"),
            example({"x": x}, call=lambda x: x.chunk(2, -1)[0], words="part 1 of 2", others=parts),
            example({"x": x}, call=lambda x: x.repeat_interleave(3, 1), words="repeat_interleave"),
        ],
        "matmul": [
            example({"a": x, "b": y.mT}, sizes=(24,)),
            example({"a": draw(2, 6, 6), "b": draw(2, 6, 6, seed=1)}),
            example({"a": x, "b": y}, equation="bhqd,bhkd->bhqk"),
        ],
        "scaled": [example({"x": x}, factor=0.7), example({"x": x}, factor=3.3, sizes=(24,))],
        "shifted": [example({"x": x}, term=0.3), example({"x": x.abs().sqrt(), "square": x.abs()}, term=1e-2)],
        "filled": [
            example({"x": scores, "mask": hidden}),
            example({"x": scores, "mask": ids(2, 1, 1, 5, below=2) == 1}, value=-7.0, added=True),
            example({"x": draw(2, 3, 5, 9), "mask": ids(5, 9, below=2, seed=2)}, value=0.5, shows=True),
        ],
        "reduced": [
            example({"x": x}, how="mean", keep=True),
            example({"x": x}, how="var", axes=(-1,), keep=True, unbiased=False),
            example({"x": x[..., :2, :]}, how="sum", axes=(-2, -1)),
        ],
        "root": [example({"x": x.abs() + 0.1, "bare": x.abs()}, eps=0.1), example({"x": x.abs() + 0.2}, inverse=True)],
        "joined": [
            example({"0": x, "1": y}, axis=-1),
            example({"0": x, "1": y, "2": draw(2, 3, 4, 6, seed=2)}, axis=-2),
            example({"0": x, "1": y}, axis=-3, stacked=True),
        ],
        "times": [
            example({"x": x, "gain": y * y.sigmoid(), "inner": y}),
            example({"x": x, "gain": draw(6).sigmoid()}),
        ],
        "difference": [example({"a": x, "b": draw(2, 3, 4, 1)})],
        "quotient": [example({"x": x, "by": draw(2, 3, 4, 1).abs() + 0.3})],
    }


def channels():
    x, series, image = draw(2, 4, 9), draw(2, 4, 12), draw(2, 4, 7, 8)
    affine = {"weight": 1 + draw(4) / 2, "bias": draw(4)}
    kept = {"mean": draw(4, seed=1).abs() + 0.2, "variance": draw(4, seed=2).abs() + 0.1}
    numbers = {"bias": draw(6)}
    return {
        "group_norm": [
            example({"x": image, **affine}, groups=2),
            example({"x": 1e-3 * image, **affine}, groups=2),
            example({"x": draw(2, 4, 4), **affine}, groups=2),
        ],
        "batch_norm": [
            example({"x": x, **affine, **kept}),
            example({"x": x, **affine, **{**kept, "variance": 1e-4 * kept["variance"]}}),
            example({"x": draw(3, 4, 4), **affine, **kept}),
        ],
        "conv": [
            example({"x": series, "weight": draw(6, 4, 3), **numbers}, padding=(1,)),
            example(
                {"x": image, "weight": draw(6, 4, 3, 3), **numbers}, stride=(2, 2), padding=(1, 1), dilation=(1, 1)
            ),
            example({"x": image, "weight": draw(4, 2, 3, 3)}, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=2),
            example({"x": series, "weight": draw(4, 4, 4)}, padding=(2,), mode="circular"),
        ],
        "pool": [
            example({"x": series}),
            example({"x": image}, how="mean", size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(1, 1)),
            example({"x": draw(2, 4, 12)}, how="mean", size=(4,), stride=(3,), ceil=True),
        ],
        "rnn": recurrent(1, "h"),
    }


EXAMPLES = {
    "activation": activations(),
    "add": [example({"a": draw(T, B, H), "b": draw(T, B, H, seed=1)})],
    "chunk_sums": [example({"x": draw(T, B, 34)}, width=H, rule=rule) for rule in ("elementwise", "totals")],
    "embedding": [
        example({"ids": ids(T, B), "weight": draw(V, H)}),
        example({"ids": ids(7, 7), "weight": 0.3 * draw(V, V)}),
    ],
    "gate": [
        example({"x": size * draw(T, B, 2 * H)}, order=order) for order, size in (("cf", 1), ("fc", 1), ("cf", 5))
    ],
    "gru": recurrent(3, "h"),
    "layer_norm": norms(),
    "linear": [
        example({"x": draw(T, B, 12), "weight": draw(12, 12), "bias": draw(12)}),
        example({"x": draw(T, B, 12), "weight": draw(24, 12)}),
    ],
    "lstm": recurrent(4, "hc"),
    "nll": [
        example({"logits": draw(T, B, V), "targets": ids(T, B) // 3, "inputs": ids(T, B, seed=1)}),
        example({"logits": draw(T, B, V), "targets": ids(T, B).index_fill(0, torch.tensor([1]), -1)}),
    ],
    "parameter": parameters(),
    "product": [
        example({"x": draw(T, B, H), "gain": draw(H).sigmoid()}),
        example({"x": draw(T, B, H), "gain": draw(H)}),
    ],
    "same": [example({"x": draw(T, B, H)})],
    "select": [example({"x": draw(4, B, H)}, row=1)],
    "stack": [example({"0": draw(B, H), "1": draw(B, H, seed=1), "2": draw(B, H, seed=2)})],
    **attention(),
    **functions(),
    **channels(),
    **masks(),
    **rows(),
    **optimiser(),
}
