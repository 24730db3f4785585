"""Operations of other models than SHA-RNN, operations of one's own, and those too large to be computed whole."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import parity
from parity.diagnosis import Operands, OperationDefinition, Variant, explain, register
from parity.diagnosis.interpreter import Interpreter
from parity.diagnosis.matching import distance
from parity.diagnosis.operations import OPERATIONS
from parity.diagnosis.window import LARGE
from parity.subject.scene import Operation, Scene

T, B, X, H, V = 6, 3, 5, 8, 7


def torch_gru(dtype):
    """A GRU and a linear layer over it, in `dtype`."""
    torch.manual_seed(0)
    return nn.GRU(X, H).to(dtype), nn.Linear(H, V).to(dtype)


GRU_OPERATIONS = {
    "gru": Operation(
        "gru",
        {
            "x": "x",
            "h": "h0",
            **{f"{part}_{side}": f"{part}_{side}" for part in ("weight", "bias") for side in ("ih", "hh")},
        },
        {"axes": ("time", "batch", "feature")},
    ),
    "logits": Operation("linear", {"x": "gru", "weight": "weight", "bias": "bias"}),
}


def gru_scene(run, keep=("gru", "logits")):
    """The scene of `run(gru, linear, x, h0)` against the same in float32, as torch has it."""
    x, h0 = torch.randn(T, B, X), torch.randn(1, B, H)
    gru, linear = torch_gru(torch.float32)
    with torch.no_grad():
        y, _ = gru(x, h0)
        reference = {"gru": y.double(), "logits": linear(y).double()}
        gru, linear = torch_gru(torch.float64)
        y = run(gru, x.double(), h0.double())
        given = reference["gru"] if "gru" in keep else y
        subject = {"gru": y, "logits": linear(given)}
    parameters = {name.removesuffix("_l0"): p.detach() for name, p in gru.named_parameters()}
    parameters |= {name: p.detach() for name, p in linear.named_parameters()}
    common = {**parameters, "x": x.double(), "h0": h0[0].double()}
    reference = {**common, **{key: reference[key] for key in keep}}
    return Scene(GRU_OPERATIONS, reference, {**common, **subject}, dict.fromkeys(keep, 1e-5))


def cell(gru, x, h0, recurred, new_h, gate=torch.sigmoid):
    """A GRU written out."""
    w_ih, w_hh, b_ih, b_hh = (p.chunk(3) for p in gru.parameters())
    h, steps = h0[0], []
    for at_step in x:
        r, z = (gate(at_step @ w_ih[k].T + b_ih[k] + h @ w_hh[k].T + b_hh[k]) for k in (0, 1))
        n = torch.tanh(at_step @ w_ih[2].T + b_ih[2] + recurred(r, h, w_hh[2], b_hh[2]))
        h = new_h(z, n, h)
        steps.append(h)
    return torch.stack(steps)


def usual(r, h, w, b):
    return r * (h @ w.T + b)


def kept(z, n, h):
    return (1 - z) * n + z * h


def with_parameters(change):
    def run(gru, x, h0):
        p = [w.detach().clone() for w in gru.parameters()]
        names = dict(zip(("w_ih", "w_hh", "b_ih", "b_hh"), p, strict=True))
        names.update(change(**names))
        copy = nn.GRU(X, H).double()
        with torch.no_grad():
            for own, new in zip(copy.parameters(), names.values(), strict=True):
                own.copy_(new)
        return copy(x, h0)[0]

    return run


GRU_FAULTS = [
    (lambda gru, x, h0: cell(gru, x, h0, usual, lambda z, n, h: z * n + (1 - z) * h), "weighs the new state by z"),
    (lambda gru, x, h0: cell(gru, x, h0, lambda r, h, w, b: (r * h) @ w.T + b, kept), "before the recurrent weight"),
    (lambda gru, x, h0: cell(gru, x, h0, lambda r, h, w, b: r * (h @ w.T) + b, kept), "out of the reset gate"),
    (lambda gru, x, h0: cell(gru, x, h0, lambda r, h, w, b: h @ w.T + b, kept), "has no reset gate"),
    (lambda gru, x, h0: cell(gru, x, h0, usual, kept, F.hardsigmoid), "the hard sigmoid to its gates"),
    (lambda gru, x, h0: gru(x)[0], "starts from zeros"),
    (lambda gru, x, h0: gru(x, h0.flip(1))[0], "with its batch reversed"),
    (lambda gru, x, h0: gru(x.flip(0), h0)[0], "over time backwards"),
    (lambda gru, x, h0: gru(x.half().double(), h0)[0], "x rounded to float16"),
    (lambda gru, x, h0: gru(x, h0)[0].bfloat16().double(), "rounded to bfloat16"),
    (with_parameters(lambda b_hh, **_: {"b_hh": 0 * b_hh}), "leaves the recurrent bias (bias_hh) out"),
    (with_parameters(lambda b_ih, b_hh, **_: {"b_ih": b_hh, "b_hh": b_ih}), "exchanges the two biases"),
    (
        with_parameters(lambda **p: {k: torch.cat([w.chunk(3)[g] for g in (1, 0, 2)]) for k, w in p.items()}),
        "gates in the order z, r, n; the reference r, z, n",
    ),
    (
        with_parameters(lambda w_hh, **_: {"w_hh": torch.cat([g.T for g in w_hh.chunk(3)])}),
        "transposes each gate's block of the recurrent weight",
    ),
]


@pytest.mark.parametrize(("run", "expected"), GRU_FAULTS)
@pytest.mark.parametrize("keep", [("gru", "logits"), ("logits",)])
def test_a_gru_is_explained_at_its_own_tensor_or_after_one_that_was_not_recorded(run, expected, keep):
    (hint,) = explain(gru_scene(run, keep), keep[0])
    assert expected in hint.description
    assert hint.at == "gru"


def test_a_gru_without_a_fault_has_no_hint():
    scene = gru_scene(lambda gru, x, h0: gru(x, h0)[0])
    assert distance(Interpreter(scene, "gru").computed("gru"), scene.subject["gru"]) < 1e-12
    assert not explain(scene, "gru")
    assert not explain(scene, "logits")


def explained(steps, key, recorded, computed, **given):
    """The first hint of `key`, of which the reference has `recorded` and the subject `computed`."""
    given = {name: t if t.dtype == torch.int64 else t.double() for name, t in given.items()}
    scene = Scene(steps, {**given, key: recorded.float().double()}, {**given, key: computed}, {})
    (hint,) = explain(scene, key)
    assert hint.before > 16 >= hint.after
    return hint.description


def numbers(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.slow
def test_large_tensors_are_explained_by_a_window_of_them():
    x, w, b = numbers(300, 2, 256), numbers(256, 256), numbers(256)
    assert x.numel() > LARGE
    steps = {"y": Operation("linear", {"x": "x", "weight": "w", "bias": "b"})}
    y = F.linear(x, w, b)
    given = {"x": x, "w": w, "b": b}
    assert "transposes the weight" in explained(steps, "y", y, F.linear(x, w.T, b), **given)
    assert "leaves the bias out" in explained(steps, "y", y, F.linear(x, w), **given)
    assert "reversed along axis 0" in explained(steps, "y", y, y.flip(0), **given)


@pytest.mark.slow
def test_a_window_lies_where_the_error_is():
    x = numbers(3000, 2, 64)
    y = torch.tanh(x)
    late = torch.cat([y[:2900], x[2900:]])
    steps = {"y": Operation("activation", {"x": "x"}, {"function": "tanh"})}
    assert "no function at all" in explained(steps, "y", y, late, x=x)


def test_a_large_lstm_is_explained_by_its_first_steps():
    torch.manual_seed(0)
    lstm = nn.LSTM(64, 64).double()
    x = numbers(1200, 2, 64)
    names = {name.removesuffix("_l0"): p.detach().clone() for name, p in lstm.named_parameters()}
    steps = {"y": Operation("lstm", {"x": "x", **{name: name for name in names}})}
    with torch.no_grad():
        y, (h, c) = lstm(x)
        for p in lstm.parameters():
            p.copy_(torch.cat([p.chunk(4)[k] for k in (0, 2, 1, 3)]))
        wrong = lstm(x)[0]
    assert "gates in the order i, c, f, o" in explained(steps, "y", y, wrong, x=x, **names)
    steps = {"h": Operation("lstm", {"x": "x", **{name: name for name in names}}, {"output": "h"})}
    assert "returns c in place of h" in explained(steps, "h", h[0], c[0], x=x, **names)


@pytest.mark.slow
def test_large_attention_is_explained_after_what_was_not_recorded():
    """The scale depends on all T queries, of which only some are computed."""
    T, K, H = 400, 700, 16
    q, k = numbers(T, 1, H), numbers(K, 1, H)
    mask = torch.full((T, K), -torch.inf, dtype=torch.float64).triu(K - T + 1)
    steps = {
        "qk": Operation("attention_products", {"q": "q", "k": "k"}, {"heads": 1}),
        "scores": Operation("attention_scale", {"x": "qk"}, {"sqrt_of": "queries", "width": H, "heads": 1}),
        "mask": Operation("causal_mask", {"new": "q", "memory": "older"}),
        "masked": Operation("masked", {"x": "scores", "mask": "mask"}),
        "focus": Operation("softmax", {"x": "masked"}),
    }
    qk = q[:, 0] @ k[:, 0].T
    focus = (qk / T**0.5 + mask).softmax(-1)[None, None]
    given = {"q": q, "k": k, "older": numbers(K - T, 1, H)}
    assert focus.numel() > LARGE
    wrong = (qk / H**0.5 + mask).softmax(-1)[None, None]
    assert "divides by sqrt(d) = sqrt(16); the reference by sqrt(T) = sqrt(400)" in explained(
        steps, "focus", focus, wrong, **given
    )
    wider = torch.full((T, K), -torch.inf, dtype=torch.float64).triu(K - T + 2)
    wrong = (qk / T**0.5 + wider).softmax(-1)[None, None]
    assert "lets a step see the step after it" in explained(steps, "focus", focus, wrong, **given)


def test_shapes_that_differ_are_explained_by_rows_alone():
    keys = numbers(9, 2, 4)
    steps = {"kept": Operation("last_rows", {"x": "keys"}, {"rows": 6})}
    assert "keeps the last 5 rows; the reference the last 6" in explained(steps, "kept", keys[3:], keys[4:], keys=keys)


@pytest.mark.slow
def test_a_state_of_several_layers_that_none_uses():
    """The layer between is not recorded, so that two unrecorded operations are wrong at once."""
    torch.manual_seed(0)
    lstm = nn.LSTM(4, 4, num_layers=2).double()
    x, h, c = numbers(5, 3, 4), numbers(2, 3, 4), numbers(2, 3, 1).expand(2, 3, 4)
    steps, given = {}, {name: p.detach() for name, p in lstm.named_parameters()}
    for layer, (source, key) in enumerate((("x", "between"), ("between", "y"))):
        for part in ("h", "c"):
            steps[f"{part}.{layer}"] = Operation("select", {"x": f"before.{part}"}, {"row": layer})
        weights = {name.removesuffix(f"_l{layer}"): name for name in given if name.endswith(str(layer))}
        steps[key] = Operation("lstm", {"x": source, "h": f"h.{layer}", "c": f"c.{layer}", **weights})
    with torch.no_grad():
        y, wrong = lstm(x, (h, c.contiguous()))[0], lstm(x)[0]
    given |= {"x": x, "before.h": h, "before.c": c}
    assert "takes zeros for before.h, before.c" in explained(steps, "y", y, wrong, **given)


def leaky_average(o: Operands):
    """y_t = keep y_(t-1) + (1 - keep) x_t, from zeros."""
    keep, y, rows = o.settings["keep"], torch.zeros_like(o["x"][0]), []
    for x in o["x"]:
        y = keep * y + (1 - keep) * x
        rows.append(y)
    return torch.stack(rows)


def leaky_variants(o: Operands):
    other = Operands(o.tensors, {"keep": 1 - o.settings["keep"]})
    yield Variant("keeps the new and lets the old in", "keeps the old", lambda: leaky_average(other))


@pytest.fixture
def leaky():
    register("leaky_average", OperationDefinition(leaky_average, leaky_variants, causal=True))
    yield
    del OPERATIONS["leaky_average"]


@pytest.mark.usefixtures("leaky")
def test_an_operation_of_ones_own_is_diagnosed_after_one_that_is_known():
    x, w = numbers(7, 2, 4), numbers(4, 4)
    operations = {
        "average": Operation("leaky_average", {"x": "x"}, {"keep": 0.9}),
        "y": Operation("linear", {"x": "average", "weight": "w"}),
    }
    right, wrong = (leaky_average(Operands({"x": x}, {"keep": keep})) @ w.T for keep in (0.9, 0.1))
    said = explained(operations, "y", right, wrong, x=x, w=w)
    assert said == "the subject keeps the new and lets the old in; the reference keeps the old"


def test_a_name_that_is_taken_cannot_be_registered():
    with pytest.raises(parity.UsageError, match="'linear' is registered already"):
        register("linear", OperationDefinition(leaky_average))


def test_a_value_that_led_nowhere_is_recognised_only_where_nothing_else_of_what_changed_is_taken_later():
    """Of the halves of y = x z + (x + z), neither alone tells what comes of another x."""
    operations = {
        "x": Operation("same", {"x": "given"}),
        "times": Operation("times", {"x": "x", "gain": "z"}),
        "plus": Operation("add", {"a": "x", "b": "z"}),
        "y": Operation("add", {"a": "times", "b": "plus"}),
    }
    given, z, other = torch.tensor([2.0, 3.0]).double(), torch.tensor([5.0, 7.0]).double(), torch.ones(2).double()
    known = {"given": given, "z": z}
    y = given * z + given + z
    interpreter = Interpreter(Scene(operations, {**known, "y": y}, {**known, "y": y}, {}), "y")
    found = dict(interpreter.narrows("x", other, "y"))
    assert list(found) == ["x", "y"]
    assert torch.equal(found["y"], z + 1 + z)
    assert torch.equal(found["y"], interpreter.through({"x": other}, "y"))
