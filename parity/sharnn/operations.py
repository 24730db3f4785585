"""SHA-RNN's steps: how every tensor of a segment comes from others. And those of its LSTM baseline.

Keys are the port's names of the intermediates (docs/tensors.md), in the port's layout, with these besides: `tokens`
and `targets`, ids from 0 (T, B); `param/<name>`, a parameter by the port's name; `before.blocks.*.h|c|memory` and
`after.blocks.*.h|c|memory`, the state that a segment starts from and returns, the former absent at the first; `loss`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from parity.subject.scene import Operation
from sharnn_py.config import Config
from sharnn_py.layers import EPS

ACTIVATIONS = ("time", "batch", "feature")
STATES = ("batch", "feature")
SCORES = ("batch", "head", "query", "key")


def parameter_key(name: str) -> str:
    """The key of a parameter. Without the prefix `blocks.*.attn.qs` would be its sigmoid, too."""
    return f"param/{name}"


def parameters_of(step: Operation) -> list[str]:
    """The parameters that a step takes, by the port's names."""
    return [key.removeprefix("param/") for key in step.inputs.values() if key.startswith("param/")]


def segment_steps(config: Config) -> dict[str, Operation]:
    """Every tensor of one segment, in order of computation."""
    steps: dict[str, Operation] = {}
    parameters = {"weight": parameter_key("encoder.weight")}
    steps["embed"] = _step("embedding", {"ids": "tokens", **parameters}, axes=ACTIVATIONS)
    for i in range(config.layers):
        _add_block(steps, config, i)
    last = f"blocks.{config.layers - 1}.out"
    steps["h_final"] = _step("same", {"x": last}, axes=ACTIVATIONS)
    decoder = {"weight": parameter_key("encoder.weight" if config.tied else "decoder.weight")}
    if config.decoder_bias:
        decoder["bias"] = parameter_key("decoder.bias")
    steps["logits"] = _step("linear", {"x": "h_final", **decoder}, axes=ACTIVATIONS)
    steps["loss"] = _step("nll", {"logits": "logits", "targets": "targets", "inputs": "tokens"}, ignored=-1)
    for i in range(config.layers):
        _add_carried(steps, config, i)
    return steps


def _step(kind: str, inputs: Mapping[str, str], **settings: Any) -> Operation:
    return Operation(kind, inputs, settings)


def _add_block(steps: dict[str, Operation], config: Config, i: int) -> None:
    def at(name: str) -> str:
        return f"blocks.{i}.{name}"

    def norm(name: str, x: str) -> None:
        steps[at(name)] = _norm(config, at(x), at(name))

    if config.attends(i):
        steps[at("memory_in")] = _memory_in(config, i)
    steps[at("in")] = _step("same", {"x": f"blocks.{i - 1}.out" if i else "embed"}, axes=ACTIVATIONS)
    norm("lnstart", "in")
    state = {part: f"before.blocks.{i}.{part}" for part in ("h", "c")}
    _add_lstm(steps, {"x": at("lnstart"), **state}, at("rnn"), 0, (at("rnn"), at("h"), at("c")))
    steps[at("post_rnn")] = _step("same", {"x": at("rnn")}, axes=ACTIVATIONS)
    residual = "post_rnn"
    if config.attends(i):
        norm("lnmem", "post_rnn")
        steps[at("keys")] = _step("concat", {"first": at("memory_in"), "second": at("lnmem")}, axes=ACTIVATIONS)
        steps[at("memory")] = _step("last_rows", {"x": at("keys")}, rows=config.max_memory, axes=ACTIVATIONS)
        lengths = {"new": at("lnmem"), "memory": at("memory_in")}
        steps[at("mask")] = _step("causal_mask", lengths, axes=("query", "key"))
        norm("lnmid", "post_rnn")
        _add_attention(steps, config, i)
        residual = "post_attn"
        steps[at(residual)] = _step("add", {"a": at("lnmid"), "b": at("attn.mix")}, axes=ACTIVATIONS)
    norm("lnff", residual)
    norm("lnxff", residual)
    boom = _parameters(at("boom.linear"))
    steps[at("boom_linear")] = _step("linear", {"x": at("lnxff"), **boom}, axes=ACTIVATIONS)
    steps[at("boom_gelu")] = _step("activation", {"x": at("boom_linear")}, function="gelu_sigmoid", axes=ACTIVATIONS)
    rule = "elementwise" if config.semantics.boom == "paper" else "totals"
    steps[at("boom")] = _step("chunk_sums", {"x": at("boom_gelu")}, width=config.emb, rule=rule, axes=ACTIVATIONS)
    steps[at("out")] = _step("add", {"a": at("lnff"), "b": at("boom")}, axes=ACTIVATIONS)


def _parameters(module: str) -> dict[str, str]:
    return {part: parameter_key(f"{module}.{part}") for part in ("weight", "bias")}


def _norm(config: Config, x: str, module: str) -> Operation:
    julia = config.semantics.layer_norm == "julia"
    return _step(
        "layer_norm", {"x": x, **_parameters(module)}, unbiased=julia, eps=EPS, eps_outside=julia, axes=ACTIVATIONS
    )


def _add_lstm(
    steps: dict[str, Operation], given: Mapping[str, str], module: str, layer: int, made: tuple[str, str, str]
) -> None:
    """A layer of an LSTM, given "x" and, where it does not start from zeros, "h" and "c"; the keys of what it makes."""
    roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    parameters = {role: parameter_key(f"{module}.{role}_l{layer}") for role in roles}
    inputs = {"x": given["x"], **parameters, **given}
    for key, output, axes in zip(made, "yhc", (ACTIVATIONS, STATES, STATES), strict=True):
        steps[key] = _step("lstm", inputs, output=output, axes=axes)


def _memory_in(config: Config, i: int) -> Operation:
    inputs = {"x": f"before.blocks.{i}.memory", "steps": "tokens"}
    if config.attends(0):
        inputs["first"] = "before.blocks.0.memory"
    return _step("drop_rows", inputs, rows=_rows_dropped(config), axes=ACTIVATIONS)


def _rows_dropped(config: Config) -> Callable[[Mapping[str, int]], int]:
    """Row 4 of docs/semantics.md, from the lengths of the memory itself (x), of block 1's, and of the segment."""
    limit, paper, first_attends = config.max_memory, config.semantics.memory_cut == "paper", config.attends(0)

    def rows(lengths: Mapping[str, int]) -> int:
        steps = lengths["steps"]
        if paper:
            return max(0, lengths["x"] + steps - limit) if steps < limit else steps - limit
        return max(0, (lengths.get("first", 0) if first_attends else 1) + steps - limit)

    return rows


def _add_attention(steps: dict[str, Operation], config: Config, i: int) -> None:
    def at(name: str) -> str:
        return f"blocks.{i}.attn.{name}"

    heads, width = config.heads, config.emb // config.heads
    for gate in ("qs", "ks"):
        steps[at(gate)] = _step("activation", {"x": parameter_key(at(gate))}, function="sigmoid")
    values_gain = parameter_key(at("vs"))
    if not config.collapsed_values:
        steps[at("vs")] = _step("activation", {"x": parameter_key(at("vs"))}, function="sigmoid")
        steps[at("overparam_linear")] = _step("linear", {"x": at("vs"), **_parameters(at("overparam"))})
        steps[at("overparam")] = _step("gate", {"x": at("overparam_linear")}, order="cf")
        values_gain = at("overparam")
    keys, mask = f"blocks.{i}.keys", f"blocks.{i}.mask"
    steps[at("q_linear")] = _step("linear", {"x": f"blocks.{i}.lnmid", **_parameters(at("q"))}, axes=ACTIVATIONS)
    steps[at("q_ln")] = _norm(config, at("q_linear"), at("qln"))
    for name, x, gain in (("q", at("q_ln"), at("qs")), ("k", keys, at("ks")), ("v", keys, values_gain)):
        steps[at(name)] = _step("product", {"x": x, "gain": gain}, axes=ACTIVATIONS)
    steps[at("qk")] = _step("attention_products", {"q": at("q"), "k": at("k")}, heads=heads, axes=SCORES)
    sqrt_of = "queries" if config.semantics.attention_scale == "julia" else "width"
    steps[at("scores")] = _step(
        "attention_scale", {"x": at("qk")}, sqrt_of=sqrt_of, width=width, heads=heads, axes=SCORES
    )
    steps[at("masked_scores")] = _step("masked", {"x": at("scores"), "mask": mask}, axes=SCORES)
    softmax = {"x": at("masked_scores"), "unmasked": at("scores"), "mask": mask}
    steps[at("focus")] = _step("softmax", softmax, axes=SCORES)
    mixed = {"weights": at("focus"), "values": at("v"), "keys": at("k")}
    steps[at("mix_heads")] = _step("attention_mix", mixed, heads=heads, axes=("batch", "head", "query", "feature"))
    steps[at("mix")] = _step("merge_heads", {"x": at("mix_heads")}, axes=ACTIVATIONS)


def _add_carried(steps: dict[str, Operation], config: Config, i: int) -> None:
    block = f"blocks.{i}."
    for part, other in (("h", "c"), ("c", "h")):
        inputs = {"x": block + part, "exchanged": block + other, "before": f"before.{block}{part}"}
        if part == "h":
            inputs["steps"] = f"{block}rnn"
        steps[f"after.{block}{part}"] = _step("carried", inputs, axes=STATES)
    if config.attends(i):
        inputs = {
            "x": f"{block}memory",
            "whole": f"{block}keys",
            "new": f"{block}lnmem",
            "before": f"before.{block}memory",
        }
        steps[f"after.{block}memory"] = _step("carried", inputs, rows=config.max_memory, axes=ACTIVATIONS)


def baseline_steps(layers: int) -> dict[str, Operation]:
    """Every tensor of one segment of the LSTM language model; its state is stacked, (L, B, H), `before.h` and so on."""
    steps = {"embed": _step("embedding", {"ids": "tokens", "weight": parameter_key("embed.weight")}, axes=ACTIVATIONS)}
    x = "embed"
    for layer in range(layers):
        state = {part: f"before.layer {layer}.{part}" for part in ("h", "c")}
        for part, key in state.items():
            steps[key] = _step("select", {"x": f"before.{part}"}, row=layer, axes=STATES)
        given, x = {"x": x, **state}, "rnn" if layer == layers - 1 else f"layer {layer}.rnn"
        _add_lstm(steps, given, "rnn", layer, (x, f"layer {layer}.h", f"layer {layer}.c"))
    for part, other in (("h", "c"), ("c", "h")):
        steps[part] = _step("stack", {str(layer): f"layer {layer}.{part}" for layer in range(layers)})
        steps[f"after.{part}"] = _step("carried", {"x": part, "exchanged": other, "before": f"before.{part}"})
    projection = {part: parameter_key(f"projection.{part}") for part in ("weight", "bias")}
    steps["logits"] = _step("linear", {"x": "rnn", **projection}, axes=ACTIVATIONS)
    steps["loss"] = _step("nll", {"logits": "logits", "targets": "targets", "inputs": "tokens"}, ignored=-1)
    return steps
