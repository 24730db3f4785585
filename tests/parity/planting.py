"""Ways to plant faults in the port's source, and in what the subject holds."""

import torch

import sharnn_py.layers as layers
import sharnn_py.model as port
from tests.parity.diagnosed import edit


def source(owner, name, *changes):
    return lambda patch, subject: edit(patch, owner, name, *changes)


def attention(*changes):
    return source(layers.Attention, "forward", *changes)


def gain(*changes):
    return source(layers.Attention, "value_gain", *changes)


def block(*changes):
    return source(port.Block, "forward", *changes)


def model(*changes):
    return source(port.SHARNN, "forward", *changes)


def embedded(new):
    return model(("self.encoder(tokens)", new))


def norm(old, new):
    return source(layers.LayerNorm, "forward", (old, new))


def loss(*changes):
    return source(port, "nll", *changes)


def fold(*changes):
    return source(layers.Boom, "fold", *changes)


def split(new):
    return source(
        layers.Attention,
        "split",
        ("x.reshape(steps, batch, self.heads, width // self.heads).permute(1, 2, 0, 3)", new),
    )


def mask(new):
    return source(port, "causal_mask", ("mask.triu_(diagonal=memory + 1)", new))


def rnn(before="pass", after="pass"):
    """Code around the LSTM: `before` changes h, h0 and c0, `after` h, h_n and c_n."""
    call = "h, (h_n, c_n) = self.rnn(h, (state.h[None], state.c[None]))"
    lines = ["h0, c0, x = state.h[None], state.c[None], h", before, "h, (h_n, c_n) = self.rnn(h, (h0, c0))", after]
    return block((f"{call}  # (T, B, H), (1, B, H) twice", "\n    ".join(lines)))


def cell(candidate="g.tanh()", kept="f * c_n + i * g", given="o * c_n.tanh()"):
    """The LSTM written out."""
    lines = (
        "w_ih, w_hh, b_ih, b_hh = self.rnn.parameters()",
        "x, h, h_n, c_n = h, [], state.h, state.c",
        "for step in x:",
        "    i, f, g, o = (F.linear(step, w_ih, b_ih) + F.linear(h_n, w_hh, b_hh)).chunk(4, -1)",
        f"    i, f, g, o = i.sigmoid(), f.sigmoid(), {candidate}, o.sigmoid()",
        f"    c_n = {kept}",
        f"    h_n = {given}",
        "    h.append(h_n)",
        "h, h_n, c_n = torch.stack(h), h_n[None], c_n[None]",
    )
    return block(
        (
            "h, (h_n, c_n) = self.rnn(h, (state.h[None], state.c[None]))  # (T, B, H), (1, B, H) twice",
            "\n    ".join(lines),
        )
    )


def returned(h="h_n", c="c_n", memory="memory"):
    """The state is returned with other tensors in it."""
    change = f"LayerState(({h}).detach(), ({c}).detach(), ({memory}).detach())"
    return block(("LayerState(h_n.detach(), c_n.detach(), memory.detach())", change))


def held(end, change):
    """The subject holds all parameters that end so otherwise."""

    def plant(patch, subject):
        with torch.no_grad():
            for name, parameter in subject.model.named_parameters():
                if name.endswith(end):
                    parameter.copy_(change(parameter.clone()))

    return plant


def gates(order):
    """The subject's weights have their gates in this order."""

    def change(p):
        blocks = dict(zip("ifco", p.chunk(4), strict=True))
        return torch.cat([blocks[gate] for gate in order])

    def plant(patch, subject):
        for end in ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"):
            held(end, change)(patch, subject)

    return plant
