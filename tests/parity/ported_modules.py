"""Modules as ports have them, and what goes wrong in ports: edits of a source text, changes of a layer or its weights.

Nothing here knows how diagnosis works. What a hint must say of a fault is a regular expression.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

GPT2 = """
class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        variance = x.var(-1, keepdim=True, unbiased=False)
        return (x - mean) / torch.sqrt(variance + 1e-5) * self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        B, T, C = x.shape
        d = C // self.heads
        q, k, v = self.c_attn(x).split(C, dim=2)
        q = q.view(B, T, self.heads, d).transpose(1, 2)
        k = k.view(B, T, self.heads, d).transpose(1, 2)
        v = v.view(B, T, self.heads, d).transpose(1, 2)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(d)
        visible = torch.tril(torch.ones(T, T))
        scores = scores.masked_fill(visible == 0, float("-inf"))
        weights = F.softmax(scores, dim=-1)
        y = weights @ v
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.c_proj(y)


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = Norm(width), Attention(width, heads), Norm(width), MLP(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return x


class GPT2(nn.Module):
    def __init__(self, vocab=13, width=24, heads=3, layers=2, positions=16):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, width), nn.Embedding(positions, width)
        self.h = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.ln_f = Norm(width)

    def forward(self, ids):
        T = ids.shape[1]
        positions = torch.arange(T)
        x = self.wte(ids) + self.wpe(positions)
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        return x @ self.wte.weight.T
"""

VIEW = "view(B, T, self.heads, d).transpose(1, 2)"
GPT2_FAULTS = {
    "no scale": (" / math.sqrt(d)", "", r"sqrt\(8\)"),
    "scale of the whole width": ("/ math.sqrt(d)", "/ math.sqrt(C)", r"sqrt\(8\)|sqrt\(24\)|sqrt\(3\)"),
    "scale without the root": ("/ math.sqrt(d)", "/ d", r"sqrt\(8\)"),
    "scale multiplied": ("/ math.sqrt(d)", "* math.sqrt(d)", r"sqrt\(8\)|by 1 / 8|0\.125"),
    "no mask": ('scores = scores.masked_fill(visible == 0, float("-inf"))', "", r"mask|hide|future"),
    "mask one too far": ("torch.ones(T, T))", "torch.ones(T, T), 1)", r"mask|diagonal|hid"),
    "mask hides itself": (
        "torch.ones(T, T))",
        "torch.ones(T, T) + torch.eye(T), 1) + torch.eye(T)[[0]].T @ torch.ones(1, T)",
        ".",
    ),
    "mask transposed": ("torch.tril", "torch.triu", r"transpos|past|mask"),
    "mask of a finite number": ('float("-inf")', "-10.0", r"-10"),
    "mask after the softmax": (
        'scores = scores.masked_fill(visible == 0, float("-inf"))\n        weights = F.softmax(scores, dim=-1)',
        "weights = F.softmax(scores, dim=-1).masked_fill(visible == 0, 0.0)",
        r"mask",
    ),
    "softmax over the queries": ("dim=-1)\n        y", "dim=-2)\n        y", r"softmax over"),
    "softmax over the heads": ("dim=-1)\n        y", "dim=1)\n        y", r"softmax over"),
    "no softmax": ("F.softmax(scores, dim=-1)", "scores.exp()", r"softmax|sum"),
    "softmax in base 2": (
        "F.softmax(scores, dim=-1)",
        "F.softmax(scores * math.log(2), dim=-1)",
        r"0\.693|softmax|scale|1\.44",
    ),
    "q and k exchanged": ("q, k, v = ", "k, q, v = ", r"each other|order|exchang|multiplies"),
    "q and v exchanged": ("q, k, v = ", "v, k, q = ", r"each other|order|exchang"),
    "v, q, k": ("q, k, v = ", "v, q, k = ", r"each other|order|exchang"),
    "heads interleaved": (VIEW, "view(B, T, d, self.heads).permute(0, 3, 1, 2)", r"axes|interleav|order"),
    "heads read without moving axes": (VIEW, "reshape(B, self.heads, T, d)", r"axes|order"),
    "values' heads alone interleaved": (
        "v = v." + VIEW,
        "v = v.view(B, T, d, self.heads).permute(0, 3, 1, 2)",
        r"axes|interleav|order",
    ),
    "heads merged without moving axes": ("y.transpose(1, 2).contiguous()", "y.contiguous()", r"axes|order"),
    "three parts to a head": (
        "q, k, v = self.c_attn(x).split(C, dim=2)",
        "q, k, v = (t.reshape(B, T, C) for t in self.c_attn(x).view(B, T, self.heads, 3, d).unbind(3))",
        r"interleav|blocks|order|axes",
    ),
    "keys not transposed but reshaped": (
        "k.transpose(-2, -1)",
        "k.reshape(B, self.heads, d, T)",
        r"axes|reshap|transpos|order",
    ),
    "queries and keys in each other's place": (
        "q @ k.transpose(-2, -1)",
        "k @ q.transpose(-2, -1)",
        r"each other|exchang|transpos",
    ),
    "weights transposed": ("y = weights @ v", "y = weights.transpose(-2, -1) @ v", r"transpos|exchanged|axes"),
    "the mean over the heads": ("y = weights @ v", "y = weights.mean(1, keepdim=True) @ v", r"mean|reduced"),
    "gelu by erf": (', approximate="tanh"', "", r"gelu"),
    "relu for gelu": ('F.gelu(self.c_fc(x), approximate="tanh")', "F.relu(self.c_fc(x))", r"relu.*gelu|gelu.*relu"),
    "no activation": ('F.gelu(self.c_fc(x), approximate="tanh")', "self.c_fc(x)", r"gelu"),
    "sigmoid gelu": (
        'F.gelu(self.c_fc(x), approximate="tanh")',
        "(lambda u: u * torch.sigmoid(1.702 * u))(self.c_fc(x))",
        r"gelu|1\.702",
    ),
    "residual from the normed": (
        "x = x + self.attn(self.ln_1(x))",
        "x = self.ln_1(x)\n        x = x + self.attn(x)",
        r"ln_1|h\.0\.in",
    ),
    "norm after the sum": ("x = x + self.attn(self.ln_1(x))", "x = self.ln_1(x + self.attn(x))", r"ln_1|norm"),
    "no residual": ("x = x + self.mlp(self.ln_2(x))", "x = self.mlp(self.ln_2(x))", r"add|takes h.0"),
    "residual subtracted": ("x = x + self.mlp(self.ln_2(x))", "x = x - self.mlp(self.ln_2(x))", r"subtract|add|sign"),
    "parallel branches": (
        "x = x + self.attn(self.ln_1(x))\n        x = x + self.mlp(self.ln_2(x))",
        "x = x + self.attn(self.ln_1(x)) + self.mlp(self.ln_2(x))",
        r"add|takes",
    ),
    "positions from 1": ("torch.arange(T)", "torch.arange(1, T + 1)", r"id [-+] 1|0- against 1|shift"),
    "positions reversed": ("torch.arange(T)", "torch.arange(T - 1, -1, -1)", r"revers"),
    "no positions": (" + self.wpe(positions)", "", r"wpe|position"),
    "positions twice": ("self.wpe(positions)", "2 * self.wpe(positions)", r"wpe|scale|2|half"),
    "tokens scaled": ("self.wte(ids)", "self.wte(ids) * math.sqrt(24)", r"sqrt\(24\)"),
    "no last norm": ("x = self.ln_f(x)\n", "\n", r"ln_f|norm"),
    "unbiased variance": ("unbiased=False", "unbiased=True", r"n - 1|unbiased"),
    "eps 1e-3": ("1e-5", "1e-3", r"1e-05|0\.00001|eps"),
    "eps outside the root": ("torch.sqrt(variance + 1e-5)", "(torch.sqrt(variance) + 1e-2)", r"eps|root|add"),
    "not centred": ("(x - mean)", "x", r"mean|subtract|centre"),
    "norm over the steps": ("x.var(-1,", "x.var(1,", r"axis"),
    "variance for deviation": ("torch.sqrt(variance + 1e-5)", "(variance + 1e-5)", r"root"),
    "gain twice": ("* self.weight", "* self.weight * self.weight", r"weight"),
    "no bias in the norm": (" + self.bias", "", r"bias"),
    "logits scaled": ("x @ self.wte.weight.T", "x @ self.wte.weight.T / math.sqrt(24)", r"sqrt\(24\)"),
    "logits of the last step": ("return x @ self.wte.weight.T", "return x.flip(1) @ self.wte.weight.T", r"revers|flip"),
    "dropout at evaluation": ("return self.c_proj(y)", "return self.c_proj(y) * 0.9", r"0\.9|1\.11"),
}
"""Edits of `GPT2`, by name: a text, what stands in its place in the subject, and what must be said of it."""


def from_source(source):
    """The last module of a source text, as it begins."""
    space = {"torch": torch, "nn": nn, "F": F, "math": math}
    exec(source, space)
    return [*space.values()][-1]()


def filled(module, seed=0):
    """With parameters away from where they begin."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(0.4 * torch.randn(p.shape, generator=generator) + (p.ndim == 1 and name.endswith("weight")))
        for name, b in module.named_buffers():
            if b.is_floating_point() and "running" in name:
                b.copy_(torch.rand(b.shape, generator=generator) + (0.5 if "var" in name else -0.5))
    return module.eval()


def draw(*shape, seed=7):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Layer:
    """A fault in a layer of torch."""

    reference: nn.Module
    subject: Any
    """The subject: a module that takes the reference's parameters, or what is done to a copy of the reference."""
    said: str
    inputs: Any = None
    parameters: bool = False
    """Whether the reference's parameters are recorded."""
    call: Any = None
    """How the subject is called; the reference the same unless `called` says otherwise."""
    called: Any = None

    def modules(self):
        reference = filled(self.reference)
        if isinstance(self.subject, nn.Module):
            subject = self.subject.eval()
            own = subject.state_dict()
            subject.load_state_dict({k: v for k, v in reference.state_dict().items() if k in own}, strict=False)
        else:
            subject = copy.deepcopy(reference)
            with torch.no_grad():
                self.subject(subject)
        return reference, subject


def put(name, change):
    """A change of one parameter."""

    def changed(module):
        p = dict([*module.named_parameters(), *module.named_buffers()])[name]
        p.copy_(change(p.clone()))

    return changed


def swap(a, b):
    """Two parameters in each other's place."""

    def swapped(module):
        p = dict([*module.named_parameters(), *module.named_buffers()])
        one = p[a].clone()
        p[a].copy_(p[b])
        p[b].copy_(one)

    return swapped


def every(change, *contains):
    """A change of every parameter whose name contains one of these."""

    def changed(module):
        for name, p in module.named_parameters():
            if any(part in name for part in contains or [""]):
                p.copy_(change(p.clone()))

    return changed


def gates(*order):
    return lambda p: torch.cat([p.chunk(len(order))[i] for i in order])


def having(name, **settings):
    """Attributes of a submodule otherwise."""

    def changed(module):
        inner = module.get_submodule(name)
        for key, value in settings.items():
            setattr(inner, key, value)

    return changed


def seq(*layers):
    return nn.Sequential(*layers)


class Causal(nn.Conv1d):
    """Padded at the start alone."""

    def forward(self, x):
        return super().forward(F.pad(x, (2, 0)))


class Turned(nn.Module):
    """A bidirectional LSTM whose second direction is not turned back."""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.rnn = nn.LSTM(*args, **kwargs)

    def forward(self, x):
        y, _ = self.rnn(x)
        H = self.rnn.hidden_size
        return torch.cat([y[..., :H], y[..., H:]], -1)


class TurnedWrong(Turned):
    def forward(self, x):
        y, _ = self.rnn(x)
        H = self.rnn.hidden_size
        return torch.cat([y[..., :H], y[..., H:].flip(1)], -1)


def with_state(change=lambda h: h):
    def call(module, inputs, state):
        x, *given = inputs
        given = [change(h) for h in given]
        return module(x, tuple(given) if len(given) > 1 else given[0])[0], None

    return call


def exchanged_state(module, inputs, state):
    x, h, c = inputs
    return module(x, (c, h))[0], None


def attend(module, inputs, state):
    return module(*inputs, need_weights=False)[0], None


def attend_causal(module, inputs, state):
    x = inputs[0]
    mask = torch.triu(torch.full((x.shape[1], x.shape[1]), -math.inf, dtype=x.dtype), 1)
    return module(*inputs, need_weights=False, attn_mask=mask)[0], None


X, IDS, IMAGE, SERIES = draw(3, 5, 8), torch.arange(15).reshape(3, 5) * 7 % 11, draw(2, 4, 9, 9), draw(2, 4, 12)
STATE = (draw(2, 3, 8, seed=3), draw(2, 3, 8, seed=4))
SQUARE = draw(5, 5, 8)
L = nn.LSTM
ENCODER = dict(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
LAYER_FAULTS = {
    "lstm: gates i f o g": Layer(L(8, 8, batch_first=True), every(gates(0, 1, 3, 2)), "order"),
    "lstm: gates of both layers": Layer(L(8, 8, 2, batch_first=True), every(gates(1, 0, 2, 3)), "order"),
    "lstm: gates of the second layer": Layer(L(8, 8, 2, batch_first=True), every(gates(1, 0, 2, 3), "_l1"), "order"),
    "lstm: recurrent bias dropped": Layer(
        L(8, 8, batch_first=True), every(torch.zeros_like, "bias_hh"), "zeros", parameters=True
    ),
    "lstm: layers' weights exchanged": Layer(
        L(8, 8, 2, batch_first=True), swap("weight_hh_l0", "weight_hh_l1"), "weight|each other"
    ),
    "lstm: directions exchanged": Layer(
        L(8, 8, bidirectional=True),
        lambda m: [swap(n, n + "_reverse")(m) for n in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")],
        "each other|revers",
    ),
    "lstm: batch and time": Layer(L(8, 8, batch_first=True), L(8, 8), "axis|axes|batch|time|exchang", SQUARE),
    "lstm: second direction not turned back": Layer(
        Turned(8, 8, bidirectional=True, batch_first=True),
        TurnedWrong(8, 8, bidirectional=True, batch_first=True),
        "revers|flip",
    ),
    "lstm: states of layers exchanged": Layer(
        L(8, 8, 2),
        lambda m: None,
        "each other|revers|row|flip",
        (draw(5, 3, 8), *STATE),
        call=with_state(lambda h: h.flip(0)),
        called=with_state(),
    ),
    "lstm: h and c exchanged": Layer(
        L(8, 8, 2),
        lambda m: None,
        "exchang|each other",
        (draw(5, 3, 8), *STATE),
        call=exchanged_state,
        called=with_state(),
    ),
    "lstm: unbatched": Layer(L(8, 8), every(gates(0, 2, 1, 3)), "order", draw(5, 8)),
    "lstm: projected": Layer(L(8, 8, proj_size=4), every(gates(0, 2, 1, 3), "_ih_", "_hh_"), "order", draw(5, 3, 8)),
    "gru: gates z r n": Layer(nn.GRU(8, 8, 2, batch_first=True), every(gates(1, 0, 2)), "order"),
    "gru: biases exchanged": Layer(nn.GRU(8, 8, batch_first=True), swap("bias_ih_l0", "bias_hh_l0"), "bias"),
    "gru: both directions backwards": Layer(
        nn.GRU(8, 8, bidirectional=True, batch_first=True),
        every(lambda p: p.T.reshape(p.shape), "weight_hh_l0_reverse"),
        "transpos",
    ),
    "gru: state not taken": Layer(
        nn.GRU(8, 8, 2),
        lambda m: None,
        "zero|leaves|state",
        (draw(5, 3, 8), STATE[0]),
        call=with_state(torch.zeros_like),
        called=with_state(),
    ),
    "rnn: relu": Layer(nn.RNN(8, 8, batch_first=True), nn.RNN(8, 8, batch_first=True, nonlinearity="relu"), "relu"),
    "rnn: weights exchanged": Layer(nn.RNN(8, 8, batch_first=True), swap("weight_ih_l0", "weight_hh_l0"), "weight"),
    "rms norm: eps": Layer(seq(nn.RMSNorm(8, eps=1e-6)), seq(nn.RMSNorm(8, eps=1e-2)), "eps"),
    "rms norm: layer norm": Layer(seq(nn.RMSNorm(8, eps=1e-5)), seq(nn.LayerNorm(8, bias=False)), "mean|centre|RMS"),
    "rms norm: 1 + gain": Layer(seq(nn.RMSNorm(8)), put("0.weight", lambda w: w + 1), "1|gain"),
    "layer norm: RMS": Layer(seq(nn.LayerNorm(8, bias=False)), seq(nn.RMSNorm(8, eps=1e-5)), "mean|centre|RMS"),
    "layer norm: over two axes": Layer(seq(nn.LayerNorm((5, 8))), having("0", eps=0.1), "eps"),
    "group norm: groups": Layer(seq(nn.GroupNorm(2, 4)), having("0", num_groups=4), "group", IMAGE),
    "group norm: eps": Layer(seq(nn.GroupNorm(2, 4)), having("0", eps=1e-2), "eps", IMAGE),
    "batch norm: eps": Layer(seq(nn.BatchNorm2d(4)), having("0", eps=1e-2), "eps", IMAGE),
    "batch norm: mean and variance": Layer(
        seq(nn.BatchNorm1d(4)), swap("0.running_mean", "0.running_var"), "mean|var", SERIES
    ),
    "batch norm: statistics of the batch": Layer(
        seq(nn.BatchNorm1d(4)), seq(nn.BatchNorm1d(4, track_running_stats=False)), "batch|statistic|gain", SERIES
    ),
    "conv1d: kernel flipped": Layer(
        seq(nn.Conv1d(4, 6, 3)), put("0.weight", lambda w: w.flip(-1)), "revers|flip|convol|turned", SERIES
    ),
    "conv2d: kernel flipped": Layer(
        seq(nn.Conv2d(4, 6, 3, padding=1)),
        put("0.weight", lambda w: w.flip(-1, -2)),
        "revers|flip|convol|turned",
        IMAGE,
    ),
    "conv2d: kernel's axes": Layer(
        seq(nn.Conv2d(4, 6, 3)), put("0.weight", lambda w: w.mT), "axes|transpos|exchang", IMAGE
    ),
    "conv2d: grouped, channels": Layer(
        seq(nn.Conv2d(4, 4, 3, groups=2, padding=1, stride=2)),
        put("0.weight", lambda w: w.roll(1, 0)),
        "shift|order|roll|block",
        IMAGE,
    ),
    "conv1d: padded at one end": Layer(
        seq(nn.Conv1d(4, 6, 3, padding=1)), seq(Causal(4, 6, 3)), "pad|later|shift", SERIES
    ),
    "conv1d: circular": Layer(
        seq(nn.Conv1d(4, 6, 3, padding=1)),
        seq(nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular")),
        "circular|pad",
        SERIES,
    ),
    "conv1d: dilation": Layer(
        seq(nn.Conv1d(4, 6, 3, padding=2, dilation=2)), seq(nn.Conv1d(4, 6, 3, padding=1)), "dilat", SERIES
    ),
    "conv1d: bias dropped": Layer(seq(nn.Conv1d(4, 6, 3)), put("0.bias", torch.zeros_like), "bias", SERIES),
    "leaky relu: slope": Layer(seq(nn.LeakyReLU(0.1)), seq(nn.LeakyReLU(0.3)), r"0\.3|0\.1"),
    "elu: alpha": Layer(seq(nn.ELU(1.0)), seq(nn.ELU(0.5)), "elu"),
    "silu for gelu": Layer(seq(nn.GELU()), seq(nn.SiLU()), "silu"),
    "softplus: beta": Layer(seq(nn.Softplus()), seq(nn.Softplus(2.0)), "softplus"),
    "softmax: axis": Layer(seq(nn.Softmax(1)), seq(nn.Softmax(-1)), "softmax over"),
    "log softmax": Layer(seq(nn.LogSoftmax(-1)), seq(nn.Softmax(-1)), "log"),
    "embedding: scaled": Layer(nn.Embedding(11, 8), put("weight", lambda w: w * math.sqrt(8)), r"sqrt\(8\)", IDS),
    "embedding: padding": Layer(
        nn.Embedding(11, 8), put("weight", lambda w: w * (torch.arange(11) > 0)[:, None]), "zero|padding", IDS, True
    ),
    "attention: heads": Layer(
        nn.MultiheadAttention(8, 2, batch_first=True),
        nn.MultiheadAttention(8, 4, batch_first=True),
        "head|axes|sqrt",
        (X, X, X),
        call=attend,
    ),
    "attention: no mask": Layer(
        nn.MultiheadAttention(8, 2, batch_first=True),
        lambda m: None,
        "mask|future|hid",
        (X, X, X),
        call=attend,
        called=attend_causal,
    ),
    "attention: q and k": Layer(
        nn.MultiheadAttention(8, 2, batch_first=True),
        every(gates(1, 0, 2), "in_proj"),
        "order|each other|blocks|multiplies",
        (X, X, X),
        call=attend,
    ),
    "pooling: mean for max": Layer(seq(nn.MaxPool1d(2)), seq(nn.AvgPool1d(2)), "mean|max|largest", SERIES),
    "pooling: padding counted": Layer(
        seq(nn.AvgPool1d(3, 2, 1)), seq(nn.AvgPool1d(3, 2, 1, count_include_pad=False)), "pad", SERIES
    ),
    "encoder: norm after": Layer(
        nn.TransformerEncoderLayer(**ENCODER, norm_first=True), nn.TransformerEncoderLayer(**ENCODER), "norm1"
    ),
    "encoder: gelu": Layer(
        nn.TransformerEncoderLayer(**ENCODER), nn.TransformerEncoderLayer(**ENCODER, activation="gelu"), "relu"
    ),
    "prelu": Layer(seq(nn.PReLU(4)), put("0.weight", lambda w: -w), "PReLU|slope|sign|weight", SERIES),
    "glu: halves": Layer(
        seq(nn.GLU(-1)),
        lambda m: m.register_forward_pre_hook(lambda m, a: (a[0].roll(4, -1),)),
        "halves|shift|order|roll|no function",
    ),
}
TWO = seq(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8))
ATTENTION = dict(inputs=(X, X, X), call=attend)


def loaded(said, change, reference=None, **others):
    """A fault of a loader: the reference's parameters are recorded."""
    return Layer(reference or copy.deepcopy(TWO), change, said, parameters=True, **others)


def fresh(module):
    torch.manual_seed(5)
    module[0].reset_parameters()


PARAMETER_FAULTS = {
    "transposed": loaded("transposed", put("0.weight", torch.t)),
    "reshaped": loaded("reshaped", put("0.weight", lambda w: w.T.reshape(w.shape)), seq(nn.Linear(8, 12))),
    "flipped": loaded("revers", put("0.weight", lambda w: w.flip(0))),
    "rolled": loaded("shift", put("0.weight", lambda w: w.roll(1, 0))),
    "rolled columns": loaded("shift", put("0.weight", lambda w: w.roll(-1, 1))),
    "halves": loaded("blocks|halves", put("0.weight", lambda w: w.roll(4, 0))),
    "interleaved": loaded("interleav", put("0.weight", lambda w: w.reshape(2, 4, 8).transpose(0, 1).reshape(8, 8))),
    "interleaved back": loaded(
        "interleav|every", put("0.weight", lambda w: w.reshape(4, 2, 8).transpose(0, 1).reshape(8, 8))
    ),
    "negated": loaded("sign|negative", put("0.weight", torch.neg)),
    "scaled": loaded(r"sqrt\(8\)", put("0.weight", lambda w: w / math.sqrt(8))),
    "half": loaded("float16", put("0.weight", lambda w: w.half().float())),
    "bfloat16": loaded("bfloat16", put("2.weight", lambda w: w.bfloat16().float())),
    "bias zero": loaded("zeros", put("2.bias", torch.zeros_like)),
    "gain minus one": loaded(r"1|one", put("1.weight", lambda w: w - 1)),
    "gain one": loaded("ones", put("1.weight", torch.ones_like)),
    "two layers exchanged": loaded(r"2\.weight", swap("0.weight", "2.weight")),
    "two biases exchanged": loaded(r"2\.bias", swap("0.bias", "2.bias")),
    "not loaded": loaded("initial|not loaded", fresh),
    "one row": loaded("zero", put("0.weight", lambda w: w * (torch.arange(8) > 0)[:, None])),
    "gates": loaded("order", every(gates(0, 1, 3, 2)), L(8, 8, batch_first=True)),
    "gru gates": loaded("order", every(gates(1, 0, 2)), nn.GRU(8, 8, batch_first=True)),
    "q and k": loaded(
        "blocks|order", every(gates(1, 0, 2), "in_proj"), nn.MultiheadAttention(8, 2, batch_first=True), **ATTENTION
    ),
    "lstm biases": loaded("bias_hh", swap("bias_ih_l0", "bias_hh_l0"), L(8, 8, batch_first=True)),
    "kernel flipped": loaded(
        "revers|turned", put("0.weight", lambda w: w.flip(-1, -2)), seq(nn.Conv2d(4, 6, 3)), inputs=IMAGE
    ),
    "kernel's axes": loaded(
        "axes|transposed|exchanged", put("0.weight", lambda w: w.mT), seq(nn.Conv2d(4, 6, 3)), inputs=IMAGE
    ),
    "kernel in and out": loaded(
        "axes|transposed",
        put("0.weight", lambda w: w.transpose(0, 1).reshape(w.shape)),
        seq(nn.Conv2d(4, 6, 3)),
        inputs=IMAGE,
    ),
    "running variance": loaded(
        "running_", swap("0.running_mean", "0.running_var"), seq(nn.BatchNorm2d(4)), inputs=IMAGE
    ),
    "deviation for variance": loaded("root", put("0.running_var", torch.sqrt), seq(nn.BatchNorm2d(4)), inputs=IMAGE),
    "rotary order": loaded(
        "interleav|head|blocks|every", put("0.weight", lambda w: w.reshape(2, 2, 2, 8).transpose(1, 2).reshape(8, 8))
    ),
    "embedding rows": loaded("shift|row", put("weight", lambda w: w.roll(1, 0)), nn.Embedding(11, 8), inputs=IDS),
}
