"""The operations of SHA-RNN and of its LSTM baseline: how every tensor of a segment is computed from others.

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


def parameters_of(operation: Operation) -> list[str]:
    """The parameters that an operation takes, by the port's names."""
    return [key.removeprefix("param/") for key in operation.inputs.values() if key.startswith("param/")]


def segment_operations(config: Config) -> dict[str, Operation]:
    """Every tensor of one segment, in order of computation."""
    operations: dict[str, Operation] = {}
    parameters = {"weight": parameter_key("encoder.weight")}
    operations["embed"] = _operation("embedding", {"ids": "tokens", **parameters}, axes=ACTIVATIONS)
    for i in range(config.layers):
        _add_block(operations, config, i)
    last = f"blocks.{config.layers - 1}.out"
    operations["h_final"] = _operation("same", {"x": last}, axes=ACTIVATIONS)
    decoder = {"weight": parameter_key("encoder.weight" if config.tied else "decoder.weight")}
    if config.decoder_bias:
        decoder["bias"] = parameter_key("decoder.bias")
    operations["logits"] = _operation("linear", {"x": "h_final", **decoder}, axes=ACTIVATIONS)
    operations["loss"] = _operation("nll", {"logits": "logits", "targets": "targets", "inputs": "tokens"}, ignored=-1)
    for i in range(config.layers):
        _add_carried(operations, config, i)
    return operations


def _operation(name: str, inputs: Mapping[str, str], **settings: Any) -> Operation:
    return Operation(name, inputs, settings)


def _add_block(operations: dict[str, Operation], config: Config, i: int) -> None:
    def at(name: str) -> str:
        return f"blocks.{i}.{name}"

    def norm(name: str, x: str) -> None:
        operations[at(name)] = _norm(config, at(x), at(name))

    if config.attends(i):
        operations[at("memory_in")] = _memory_in(config, i)
    operations[at("in")] = _operation("same", {"x": f"blocks.{i - 1}.out" if i else "embed"}, axes=ACTIVATIONS)
    norm("lnstart", "in")
    state = {part: f"before.blocks.{i}.{part}" for part in ("h", "c")}
    _add_lstm(operations, {"x": at("lnstart"), **state}, at("rnn"), 0, (at("rnn"), at("h"), at("c")))
    operations[at("post_rnn")] = _operation("same", {"x": at("rnn")}, axes=ACTIVATIONS)
    residual = "post_rnn"
    if config.attends(i):
        norm("lnmem", "post_rnn")
        operations[at("keys")] = _operation(
            "concat", {"first": at("memory_in"), "second": at("lnmem")}, axes=ACTIVATIONS
        )
        operations[at("memory")] = _operation("last_rows", {"x": at("keys")}, rows=config.max_memory, axes=ACTIVATIONS)
        lengths = {"new": at("lnmem"), "memory": at("memory_in")}
        operations[at("mask")] = _operation("causal_mask", lengths, axes=("query", "key"))
        norm("lnmid", "post_rnn")
        _add_attention(operations, config, i)
        residual = "post_attn"
        operations[at(residual)] = _operation("add", {"a": at("lnmid"), "b": at("attn.mix")}, axes=ACTIVATIONS)
    norm("lnff", residual)
    norm("lnxff", residual)
    boom = _parameters(at("boom.linear"))
    operations[at("boom_linear")] = _operation("linear", {"x": at("lnxff"), **boom}, axes=ACTIVATIONS)
    operations[at("boom_gelu")] = _operation(
        "activation", {"x": at("boom_linear")}, function="gelu_sigmoid", axes=ACTIVATIONS
    )
    rule = "elementwise" if config.semantics.boom == "paper" else "totals"
    operations[at("boom")] = _operation(
        "chunk_sums", {"x": at("boom_gelu")}, width=config.emb, rule=rule, axes=ACTIVATIONS
    )
    operations[at("out")] = _operation("add", {"a": at("lnff"), "b": at("boom")}, axes=ACTIVATIONS)


def _parameters(module: str) -> dict[str, str]:
    return {part: parameter_key(f"{module}.{part}") for part in ("weight", "bias")}


def _norm(config: Config, x: str, module: str) -> Operation:
    julia = config.semantics.layer_norm == "julia"
    return _operation(
        "layer_norm", {"x": x, **_parameters(module)}, unbiased=julia, eps=EPS, eps_outside=julia, axes=ACTIVATIONS
    )


def _add_lstm(
    operations: dict[str, Operation], given: Mapping[str, str], module: str, layer: int, made: tuple[str, str, str]
) -> None:
    """Add a layer of an LSTM, `given` "x" and, unless it starts from zeros, "h" and "c"; `made` are its output keys."""
    roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    parameters = {role: parameter_key(f"{module}.{role}_l{layer}") for role in roles}
    inputs = {"x": given["x"], **parameters, **given}
    for key, output, axes in zip(made, "yhc", (ACTIVATIONS, STATES, STATES), strict=True):
        operations[key] = _operation("lstm", inputs, output=output, axes=axes)


def _memory_in(config: Config, i: int) -> Operation:
    inputs = {"x": f"before.blocks.{i}.memory", "steps": "tokens"}
    if config.attends(0):
        inputs["first"] = "before.blocks.0.memory"
    return _operation("drop_rows", inputs, rows=_rows_dropped(config), axes=ACTIVATIONS)


def _rows_dropped(config: Config) -> Callable[[Mapping[str, int]], int]:
    """Row 4 of docs/semantics.md, from the lengths of the memory itself (x), of block 1's, and of the segment."""
    limit, paper, first_attends = config.max_memory, config.semantics.memory_cut == "paper", config.attends(0)

    def rows(lengths: Mapping[str, int]) -> int:
        steps = lengths["steps"]
        if paper:
            return max(0, lengths["x"] + steps - limit) if steps < limit else steps - limit
        return max(0, (lengths.get("first", 0) if first_attends else 1) + steps - limit)

    return rows


def _add_attention(operations: dict[str, Operation], config: Config, i: int) -> None:
    def at(name: str) -> str:
        return f"blocks.{i}.attn.{name}"

    heads, width = config.heads, config.emb // config.heads
    for gate in ("qs", "ks"):
        operations[at(gate)] = _operation("activation", {"x": parameter_key(at(gate))}, function="sigmoid")
    values_gain = parameter_key(at("vs"))
    if not config.collapsed_values:
        operations[at("vs")] = _operation("activation", {"x": parameter_key(at("vs"))}, function="sigmoid")
        operations[at("overparam_linear")] = _operation("linear", {"x": at("vs"), **_parameters(at("overparam"))})
        operations[at("overparam")] = _operation("gate", {"x": at("overparam_linear")}, order="cf")
        values_gain = at("overparam")
    keys, mask = f"blocks.{i}.keys", f"blocks.{i}.mask"
    operations[at("q_linear")] = _operation(
        "linear", {"x": f"blocks.{i}.lnmid", **_parameters(at("q"))}, axes=ACTIVATIONS
    )
    operations[at("q_ln")] = _norm(config, at("q_linear"), at("qln"))
    for name, x, gain in (("q", at("q_ln"), at("qs")), ("k", keys, at("ks")), ("v", keys, values_gain)):
        operations[at(name)] = _operation("product", {"x": x, "gain": gain}, axes=ACTIVATIONS)
    operations[at("qk")] = _operation("attention_products", {"q": at("q"), "k": at("k")}, heads=heads, axes=SCORES)
    sqrt_of = "queries" if config.semantics.attention_scale == "julia" else "width"
    operations[at("scores")] = _operation(
        "attention_scale", {"x": at("qk")}, sqrt_of=sqrt_of, width=width, heads=heads, axes=SCORES
    )
    operations[at("masked_scores")] = _operation("masked", {"x": at("scores"), "mask": mask}, axes=SCORES)
    softmax = {"x": at("masked_scores"), "unmasked": at("scores"), "mask": mask}
    operations[at("focus")] = _operation("softmax", softmax, axes=SCORES)
    mixed = {"weights": at("focus"), "values": at("v"), "keys": at("k")}
    operations[at("mix_heads")] = _operation(
        "attention_mix", mixed, heads=heads, axes=("batch", "head", "query", "feature")
    )
    operations[at("mix")] = _operation("merge_heads", {"x": at("mix_heads")}, axes=ACTIVATIONS)


def _add_carried(operations: dict[str, Operation], config: Config, i: int) -> None:
    block = f"blocks.{i}."
    for part, other in (("h", "c"), ("c", "h")):
        inputs = {"x": block + part, "exchanged": block + other, "before": f"before.{block}{part}"}
        if part == "h":
            inputs["steps"] = f"{block}rnn"
        operations[f"after.{block}{part}"] = _operation("carried", inputs, axes=STATES)
    if config.attends(i):
        inputs = {
            "x": f"{block}memory",
            "whole": f"{block}keys",
            "new": f"{block}lnmem",
            "before": f"before.{block}memory",
        }
        operations[f"after.{block}memory"] = _operation("carried", inputs, rows=config.max_memory, axes=ACTIVATIONS)


def baseline_operations(layers: int) -> dict[str, Operation]:
    """Every tensor of one segment of the LSTM language model; its state is stacked, (L, B, H), `before.h` and so on."""
    operations = {
        "embed": _operation("embedding", {"ids": "tokens", "weight": parameter_key("embed.weight")}, axes=ACTIVATIONS)
    }
    x = "embed"
    for layer in range(layers):
        state = {part: f"before.layer {layer}.{part}" for part in ("h", "c")}
        for part, key in state.items():
            operations[key] = _operation("select", {"x": f"before.{part}"}, row=layer, axes=STATES)
        given, x = {"x": x, **state}, "rnn" if layer == layers - 1 else f"layer {layer}.rnn"
        _add_lstm(operations, given, "rnn", layer, (x, f"layer {layer}.h", f"layer {layer}.c"))
    for part, other in (("h", "c"), ("c", "h")):
        operations[part] = _operation("stack", {str(layer): f"layer {layer}.{part}" for layer in range(layers)})
        operations[f"after.{part}"] = _operation("carried", {"x": part, "exchanged": other, "before": f"before.{part}"})
    projection = {part: parameter_key(f"projection.{part}") for part in ("weight", "bias")}
    operations["logits"] = _operation("linear", {"x": "rnn", **projection}, axes=ACTIVATIONS)
    operations["loss"] = _operation("nll", {"logits": "logits", "targets": "targets", "inputs": "tokens"}, ignored=-1)
    return operations
