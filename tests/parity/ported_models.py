"""More modules as ports have them: a decoder with rotary positions, an encoder with padding, convolutions, cells."""

import torch
from torch import nn

from tests.parity.ported_modules import IMAGE, SERIES, L, Layer, draw, every, gates, having, loaded, put, seq, swap

LLAMA = """
class RMS(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-3))


def turned(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)


class Attention(nn.Module):
    def __init__(self, width, heads, groups):
        super().__init__()
        self.heads, self.groups, self.d = heads, groups, width // heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, groups * self.d, bias=False)
        self.v_proj = nn.Linear(width, groups * self.d, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x):
        B, T, _ = x.shape
        q = self.q_proj(x).view(B, T, self.heads, self.d).transpose(1, 2)
        k = self.k_proj(x).view(B, T, self.groups, self.d).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.groups, self.d).transpose(1, 2)
        rates = 1.0 / (100.0 ** (torch.arange(0, self.d, 2) / self.d))
        angles = torch.outer(torch.arange(T), rates)
        angles = torch.cat((angles, angles), dim=-1).to(x.dtype)
        cos, sin = angles.cos(), angles.sin()
        q = q * cos + turned(q) * sin
        k = k * cos + turned(k) * sin
        k = k.repeat_interleave(self.heads // self.groups, dim=1)
        v = v.repeat_interleave(self.heads // self.groups, dim=1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, -1))


class Gated(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gate, self.up = nn.Linear(width, 2 * width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.down = nn.Linear(2 * width, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self, width, heads, groups):
        super().__init__()
        self.norm_1, self.attn = RMS(width), Attention(width, heads, groups)
        self.norm_2, self.mlp = RMS(width), Gated(width)

    def forward(self, x):
        x = x + self.attn(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(13, 32)
        self.blocks = nn.ModuleList([Block(32, 4, 2) for _ in range(2)])
        self.norm, self.head = RMS(32), nn.Linear(32, 13, bias=False)

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
"""
LLAMA_FAULTS = {
    "rotation the other way": ("torch.cat((-b, a)", "torch.cat((b, -a)", r"sign|each other|cat|joined|neg"),
    "rotation not negated": ("torch.cat((-b, a)", "torch.cat((b, a)", r"sign|neg"),
    "rotary pairs interleaved": (
        "a, b = x.chunk(2, dim=-1)",
        "a, b = x[..., ::2], x[..., 1::2]",
        r"part|rows|every|axis",
    ),
    "values not rotated but": ("k = k * cos + turned(k) * sin", "k = k", r"."),
    "sine and cosine": (
        "cos, sin = angles.cos(), angles.sin()",
        "sin, cos = angles.cos(), angles.sin()",
        r"each other|cos|sin",
    ),
    "rates of another base": ("(100.0 **", "(10000.0 **", r"."),
    "groups tiled": (
        "k = k.repeat_interleave(self.heads // self.groups, dim=1)",
        "k = k.repeat(1, self.heads // self.groups, 1, 1)",
        r"repeat",
    ),
    "groups tiled, both": (
        ".repeat_interleave(self.heads // self.groups, dim=1)",
        ".repeat(1, self.heads // self.groups, 1, 1)",
        r"repeat",
    ),
    "no mask": ("is_causal=True", "is_causal=False", r"mask|future"),
    "scale 1": ("is_causal=True", "is_causal=True, scale=1.0", r"sqrt\(8\)"),
    "silu on the other": ("F.silu(self.gate(x)) * self.up(x)", "self.gate(x) * F.silu(self.up(x))", r"gate|up|silu"),
    "gelu for silu": ("F.silu", "F.gelu", r"silu"),
    "no gate": ("F.silu(self.gate(x)) * self.up(x)", "F.silu(self.gate(x))", r"up"),
    "eps of the norm": ("+ 1e-3)", "+ 1e-6)", r"0\.001|eps"),
    "sum for mean": ("x.pow(2).mean(-1", "x.pow(2).sum(-1", r"mean|sum|32"),
    "gain plus one": ("self.weight * (x", "(1 + self.weight) * (x", r"1|add"),
    "sqrt for rsqrt": ("torch.rsqrt", "torch.sqrt", r"root|invert|divides"),
    "norm of the layer": (
        "self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-3))",
        "F.layer_norm(x, x.shape[-1:], self.weight, None, 1e-3)",
        r"mean|centre|RMS",
    ),
    "residual scaled": (
        "return x + self.mlp(self.norm_2(x))",
        "return x + 0.5 * self.mlp(self.norm_2(x))",
        r"0\.5|2|half|scale|twice",
    ),
    "same norm twice": ("self.mlp(self.norm_2(x))", "self.mlp(self.norm_1(x))", r"norm_1|norm_2"),
    "heads by the group": ("y.transpose(1, 2).reshape", "y.permute(0, 2, 3, 1).reshape", r"axes|order"),
}
BERT = """
class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def heads_of(self, x):
        return x.reshape(*x.shape[:2], self.heads, -1).permute(0, 2, 1, 3)

    def forward(self, x, mask):
        q, k, v = self.heads_of(self.query(x)), self.heads_of(self.key(x)), self.heads_of(self.value(x))
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) * q.shape[-1] ** -0.5
        weights = (scores + mask).softmax(-1)
        y = torch.einsum("bhqk,bhkd->bqhd", weights, v)
        return self.out(y.flatten(2))


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn, self.norm_1 = Attention(width, heads), nn.LayerNorm(width, eps=1e-12)
        self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)
        self.norm_2 = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x, mask):
        x = self.norm_1(x + self.attn(x, mask))
        u = self.inner(x)
        u = 0.5 * u * (1.0 + torch.erf(u / math.sqrt(2.0)))
        return self.norm_2(x + self.outer(u))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places, self.types = nn.Embedding(13, 24), nn.Embedding(12, 24), nn.Embedding(2, 24)
        self.norm = nn.LayerNorm(24, eps=1e-12)
        self.layers = nn.ModuleList([Layer(24, 4) for _ in range(2)])
        self.pooler = nn.Linear(24, 24)

    def forward(self, ids):
        seen = (ids != 0)
        places = torch.cumsum(seen, 1) * seen
        x = self.words(ids) + self.places(places) + self.types(torch.zeros_like(ids))
        x = self.norm(x)
        mask = (1.0 - seen[:, None, None, :].to(x.dtype)) * -1e4
        for layer in self.layers:
            x = layer(x, mask)
        return torch.tanh(self.pooler(x[:, 0]))
"""
BERT_FAULTS = {
    "padding seen": ("(scores + mask)", "scores", r"mask|adds layers.0.in.1"),
    "padding mask for the queries": ("seen[:, None, None, :]", "seen[:, None, :, None]", r"axes|order|mask|index"),
    "mask inverted": ("(1.0 - seen[:, None, None, :].to(x.dtype))", "seen[:, None, None, :].to(x.dtype)", r"."),
    "places from 0": ("torch.cumsum(seen, 1) * seen", "torch.arange(ids.shape[1]).expand_as(ids)", r"."),
    "places one off": (
        "torch.cumsum(seen, 1) * seen",
        "torch.cumsum(seen, 1) * seen + 1",
        r"id - 1|id \\+ 1|0- against 1|adds? 1",
    ),
    "types one": ("torch.zeros_like(ids)", "torch.ones_like(ids)", r"id - 1|id \\+ 1|0- against 1|end|types|revers"),
    "no types": (" + self.types(torch.zeros_like(ids))", "", r"types"),
    "scale": ("* q.shape[-1] ** -0.5", "* q.shape[-1] ** 0.5", r"sqrt\(6\)|1 / 6|by 6"),
    "einsum turned": ('"bhqd,bhkd->bhqk", q, k', '"bhqd,bhkd->bhkq", q, k', r"transpos|exchang|multiplies"),
    "heads merged": ('"bhqk,bhkd->bqhd", weights, v)', '"bhqk,bhkd->bqdh", weights, v)', r"axes|order|exchang"),
    "gelu by tanh": ("0.5 * u * (1.0 + torch.erf(u / math.sqrt(2.0)))", "F.gelu(u, approximate='tanh')", r"gelu"),
    "erf without root": ("torch.erf(u / math.sqrt(2.0))", "torch.erf(u)", r"sqrt\(2\)|gelu"),
    "gelu not halved": ("0.5 * u *", "u *", r"1 / 2|0\.5|gelu|2"),
    "pooled the last": ("x[:, 0]", "x[:, -1]", r"row 0"),
    "pooled the mean": ("x[:, 0]", "x.mean(1)", r"first"),
    "pooler without tanh": ("torch.tanh(self.pooler(x[:, 0]))", "self.pooler(x[:, 0])", r"tanh"),
    "norm before the sum": (
        "self.norm_1(x + self.attn(x, mask))",
        "x + self.norm_1(self.attn(x, mask))",
        r"norm_1|add|takes",
    ),
    "value and key": (
        "self.heads_of(self.key(x)), self.heads_of(self.value(x))",
        "self.heads_of(self.value(x)), self.heads_of(self.key(x))",
        r"key|each other",
    ),
    "softmax before the mask": (
        "(scores + mask).softmax(-1)",
        "scores.softmax(-1) * (mask == 0)",
        r"mask|division by its sum",
    ),
    "heads split the other way": (
        "self.heads, -1).permute(0, 2, 1, 3)",
        "-1, self.heads).permute(0, 3, 1, 2)",
        r"axes|order",
    ),
}
CONV = """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2)
        self.norm, self.head = nn.BatchNorm2d(6), nn.Linear(8, 5)

    def forward(self, x):
        x = F.leaky_relu(self.norm(self.first(x)), 0.2)
        x = F.max_pool2d(x, 2)
        x = F.elu(self.second(F.pad(x, (1, 1, 1, 1))))
        x = x.mean((2, 3))
        return F.log_softmax(self.head(x), dim=1)
"""
CONV_FAULTS = {
    "slope": (", 0.2)", ", 0.01)", r"0\.2"),
    "relu": ("F.leaky_relu(self.norm(self.first(x)), 0.2)", "F.relu(self.norm(self.first(x)))", r"leaky relu"),
    "mean pooling": ("F.max_pool2d(x, 2)", "F.avg_pool2d(x, 2)", r"largest"),
    "largest over places": ("x.mean((2, 3))", "x.amax((2, 3))", r"mean"),
    "sum over places": ("x.mean((2, 3))", "x.sum((2, 3))", r"mean"),
    "softmax": ("F.log_softmax", "F.softmax", r"log"),
    "softmax over the batch": ("dim=1)", "dim=0)", r"softmax over"),
    "padding reflected": ("F.pad(x, (1, 1, 1, 1))", "F.pad(x, (1, 1, 1, 1), mode='reflect')", r"pad|call|zero|mode"),
    "padded at the end": ("F.pad(x, (1, 1, 1, 1))", "F.pad(x, (0, 2, 0, 2))", r"pad|shift"),
    "norm after the function": (
        "F.leaky_relu(self.norm(self.first(x)), 0.2)",
        "self.norm(F.leaky_relu(self.first(x), 0.2))",
        r"norm|leaky|takes",
    ),
    "no norm": ("self.norm(self.first(x))", "self.first(x)", r"norm"),
    "selu": ("F.elu", "F.selu", r"elu"),
}
CELL = """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(13, 8)
        self.w, self.r = nn.Linear(8, 32), nn.Linear(8, 32, bias=False)
        self.cell, self.head = nn.GRUCell(8, 8), nn.Linear(16, 13)

    def forward(self, ids):
        x = self.embed(ids)
        B, T, H = x.shape
        h, c, g, outputs = x.new_zeros(B, H), x.new_zeros(B, H), x.new_zeros(B, H), []
        for t in range(T):
            i, f, n, o = (self.w(x[:, t]) + self.r(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(n)
            h = torch.sigmoid(o) * torch.tanh(c)
            g = self.cell(x[:, t], g)
            outputs.append(torch.cat([h, g], -1))
        return self.head(torch.stack(outputs, 1))
"""
CELL_FAULTS = {
    "gates": ("i, f, n, o =", "f, i, n, o =", r"each other|part|order"),
    "gates o n": ("i, f, n, o =", "i, f, o, n =", r"each other|part|order"),
    "no tanh": ("torch.sigmoid(o) * torch.tanh(c)", "torch.sigmoid(o) * c", r"tanh"),
    "forget bias": ("torch.sigmoid(f) * c", "torch.sigmoid(f + 1) * c", r"add 1|adds 0|adds 1|\b1\b|zero"),
    "joined the other way": ("torch.cat([h, g], -1)", "torch.cat([g, h], -1)", r"each other"),
    "last step everywhere": ("torch.stack(outputs, 1)", "torch.stack(outputs[::-1], 1)", r"last to first|revers|order"),
    "steps shifted": ("self.cell(x[:, t], g)", "self.cell(x[:, t - 1], g)", r"row|shift|takes"),
    "state not kept": ("self.cell(x[:, t], g)", "self.cell(x[:, t])", r"cell|g|state|takes|zero"),
}
SOURCES = {
    "llama": (LLAMA, LLAMA_FAULTS),
    "bert": (BERT, BERT_FAULTS),
    "conv": (CONV, CONV_FAULTS),
    "cell": (CELL, CELL_FAULTS),
}
X2 = draw(3, 5, 8, seed=11)
MORE_LAYERS = {
    "gru cell: gates": Layer(nn.GRUCell(8, 8), every(gates(1, 0, 2)), "order", (draw(3, 8), draw(3, 8, seed=2))),
    "lstm cell: gates": Layer(
        nn.LSTMCell(8, 8),
        every(gates(1, 0, 2, 3)),
        "order",
        (draw(3, 8),),
    ),
    "instance norm: eps": Layer(seq(nn.InstanceNorm1d(4, affine=True)), having("0", eps=0.1), "eps", SERIES),
    "adaptive pooling": Layer(seq(nn.AdaptiveAvgPool1d(3)), seq(nn.AdaptiveMaxPool1d(3)), "mean|avg", SERIES),
    "transposed convolution: flipped": Layer(
        seq(nn.ConvTranspose1d(4, 6, 3)), put("0.weight", lambda w: w.flip(-1)), "revers|turned|kernel", SERIES
    ),
    "upsampling": Layer(
        seq(nn.Upsample(scale_factor=2)), seq(nn.Upsample(scale_factor=2, mode="linear")), "repeat|nearest|row", SERIES
    ),
    "hard tanh": Layer(seq(nn.Hardtanh()), seq(nn.Tanh()), "hard tanh|clamp"),
    "relu6": Layer(seq(nn.ReLU6()), seq(nn.ReLU()), "relu6|clamp|limit", 4 * X2),
    "tanhshrink": Layer(seq(nn.Tanhshrink()), seq(nn.Softshrink()), "."),
    "log sigmoid": Layer(seq(nn.LogSigmoid()), seq(nn.Sigmoid()), "log"),
    "glu for silu glu": Layer(seq(nn.GLU()), lambda m: m.register_forward_hook(lambda m, a, o: o * 2), "2"),
    "flatten order": Layer(
        seq(nn.Flatten(1), nn.Linear(48, 5)),
        lambda m: m.register_forward_pre_hook(lambda m, a: (a[0].transpose(1, 2),)),
        "axes|transpos|order",
        SERIES,
    ),
    "lstm: output gate without sigmoid": Layer(L(8, 8, batch_first=True), every(gates(3, 1, 2, 0)), "order"),
    "lstm: bidirectional, second layer's gates": Layer(
        L(8, 8, 2, bidirectional=True, batch_first=True), every(gates(0, 2, 1, 3), "_l1"), "order"
    ),
    "rms norm: mean over two axes": Layer(seq(nn.RMSNorm((5, 8))), having("0", eps=0.3), "eps"),
    "layer norm: eps 1e-12": Layer(seq(nn.LayerNorm(8, eps=1e-12)), having("0", eps=1e-2), "eps"),
    "group norm: as instance": Layer(seq(nn.GroupNorm(1, 4)), having("0", num_groups=4), "group", IMAGE),
    "conv2d: stride one": Layer(seq(nn.Conv2d(4, 6, 3, padding=1)), having("0", padding=(0, 0)), "pad", IMAGE),
    "conv2d: dilated": Layer(
        seq(nn.Conv2d(4, 6, 3, padding=1)), having("0", padding=(2, 2), dilation=(2, 2)), "dilat", IMAGE
    ),
    "attention: value of keys": Layer(
        nn.MultiheadAttention(8, 2, batch_first=True),
        every(gates(0, 2, 1), "in_proj"),
        "order|each other|place",
        (X2, X2, X2),
        call=lambda m, i, s: (m(*i)[0], None),
    ),
    "attention: causal and not": Layer(
        nn.MultiheadAttention(8, 2, batch_first=True),
        lambda m: None,
        "mask|future|hid",
        (X2, X2, X2),
        call=lambda m, i, s: (m(*i, attn_mask=torch.triu(torch.ones(5, 5, dtype=torch.bool), 1))[0], None),
        called=lambda m, i, s: (m(*i)[0], None),
    ),
    "attention: out projection": Layer(
        nn.MultiheadAttention(8, 2, batch_first=True),
        put("out_proj.weight", torch.t),
        "transpos",
        (X2, X2, X2),
        call=lambda m, i, s: (m(*i)[0], None),
    ),
    "encoder layer: relu for gelu": Layer(
        nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True),
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        "gelu",
    ),
    "decoder layer: cross attention": Layer(
        nn.TransformerDecoderLayer(8, 2, 16, batch_first=True),
        nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True),
        "norm",
        (X2, draw(3, 5, 8, seed=3)),
    ),
    "encoder: eps": Layer(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2, enable_nested_tensor=False),
        nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, layer_norm_eps=1e-2), 2, enable_nested_tensor=False
        ),
        "eps",
    ),
    "bilinear": Layer(
        nn.Bilinear(8, 8, 4),
        lambda m: m.register_forward_pre_hook(lambda m, a: (a[1], a[0])),
        "each other|exchang",
        (X2, draw(3, 5, 8, seed=3)),
    ),
    "pixel shuffle": Layer(
        seq(nn.PixelShuffle(2)),
        lambda m: m.register_forward_hook(lambda m, a, o: o.mT),
        "exchang|transpos|axes|moves nothing",
        draw(2, 4, 3, 3),
    ),
}
MORE_PARAMETERS = {
    "lstm not loaded": loaded("initial|not loaded", lambda m: m.reset_parameters(), L(8, 8, batch_first=True)),
    "embedding not loaded": loaded(
        "initial|not loaded",
        lambda m: m.reset_parameters(),
        nn.Embedding(11, 8),
        inputs=torch.arange(15).reshape(3, 5) % 11,
    ),
    "w_ih and w_hh": loaded("weight_hh", swap("weight_ih_l0", "weight_hh_l0"), L(8, 8, batch_first=True)),
    "layers of lstm": loaded("_l1", swap("weight_hh_l0", "weight_hh_l1"), L(8, 8, 2, batch_first=True)),
    "gates transposed": loaded(
        "transposed", put("weight_hh_l0", lambda w: w.reshape(4, 8, 8).mT.reshape(32, 8)), L(8, 8, batch_first=True)
    ),
    "tensorflow kernel": loaded(
        "axes", put("0.weight", lambda w: w.permute(2, 3, 1, 0).reshape(w.shape)), seq(nn.Conv2d(4, 6, 3)), inputs=IMAGE
    ),
    "scaled by 2": loaded("2", put("0.weight", lambda w: 2 * w), seq(nn.Linear(8, 8))),
    "scaled by an odd number": loaded("0.37", put("0.weight", lambda w: 0.37 * w), seq(nn.Linear(8, 8))),
    "columns permuted": loaded(
        "columns|axis 1|blocks", put("0.weight", lambda w: w[:, [4, 5, 6, 7, 0, 1, 2, 3]]), seq(nn.Linear(8, 8))
    ),
    "bias rolled": loaded("shift", put("0.bias", lambda b: b.roll(1)), seq(nn.Linear(8, 8))),
    "variance for deviation": loaded(
        "square", put("0.running_var", torch.square), seq(nn.BatchNorm1d(4)), inputs=SERIES
    ),
    "a row missing": loaded(
        "row|shift|axis", put("0.weight", lambda w: torch.cat([w[1:], w[:1] * 0])), seq(nn.Linear(8, 8))
    ),
    "fp8-like rounding": loaded("round", put("0.weight", lambda w: (w * 16).round() / 16), seq(nn.Linear(8, 8))),
    "sum of two biases": loaded(
        "bias_hh", lambda m: (m.bias_ih_l0.add_(m.bias_hh_l0), m.bias_hh_l0.zero_()), L(8, 8, batch_first=True)
    ),
}
