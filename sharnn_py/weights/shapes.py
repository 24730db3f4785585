"""The names and shapes of a model's parameters, without building it."""

from sharnn_py.baseline import BaselineConfig
from sharnn_py.config import Config

Shapes = dict[str, tuple[int, ...]]


def parameter_shapes(config: Config | BaselineConfig) -> Shapes:
    """Name and shape of every parameter, in the order of the forward pass; a tied weight once, as the encoder's."""
    return _sharnn(config) if isinstance(config, Config) else _baseline(config)


def _sharnn(config: Config) -> Shapes:
    V, H, F = config.vocab, config.emb, config.hidden
    shapes: Shapes = {"encoder.weight": (V, H)}
    for i in range(config.layers):
        block = {**_norm("lnstart", H), **_lstm("rnn", H, H, layers=1)}
        if config.attends(i):
            block |= {**_norm("lnmem", H), **_norm("lnmid", H), "attn.qs": (H,), "attn.ks": (H,), "attn.vs": (H,)}
            block |= {**_linear("attn.q", H, H), **_norm("attn.qln", H)}
            block |= {} if config.collapsed_values else _linear("attn.overparam", H, 2 * H)
        block |= {**_norm("lnff", H), **_norm("lnxff", H), **_linear("boom.linear", H, F)}
        shapes.update({f"blocks.{i}.{name}": shape for name, shape in block.items()})
    if not config.tied:
        shapes["decoder.weight"] = (V, H)
    if config.decoder_bias:
        shapes["decoder.bias"] = (V,)
    return shapes


def _baseline(config: BaselineConfig) -> Shapes:
    V, E, H = config.vocab, config.emb, config.hidden
    return {"embed.weight": (V, E), **_lstm("rnn", E, H, config.layers), **_linear("projection", H, V)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, inputs: int, width: int) -> Shapes:
    return {f"{name}.weight": (width, inputs), f"{name}.bias": (width,)}


def _lstm(name: str, inputs: int, width: int, layers: int) -> Shapes:
    shapes: Shapes = {}
    for layer in range(layers):
        shapes[f"{name}.weight_ih_l{layer}"] = (4 * width, width if layer else inputs)
        shapes[f"{name}.weight_hh_l{layer}"] = (4 * width, width)
        shapes[f"{name}.bias_ih_l{layer}"] = (4 * width,)
        shapes[f"{name}.bias_hh_l{layer}"] = (4 * width,)
    return shapes
