"""What the exported step is timed against: the step in PyTorch, well written, and the same graph on OpenVINO.

Every contender is a function that feeds one token to each of B sequences on top of M memory rows. All begin from the
same state and compute the same logits, which the benchmark checks before it times them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import helper
from onnxruntime import OrtValue
from torch import Tensor, nn

from export.serving.providers import open_session
from export.serving.ring import ring_of
from export.serving.session import Session
from export.serving.step_inputs import step_inputs
from sharnn_py import PAPER, SHARNN, Config, LayerState, State, TorchSession, Vocabulary
from sharnn_py.model import Block

SIZES = {
    "small": Config(vocab=205, emb=256, hidden=1024, layers=4, max_memory=5000, semantics=PAPER),
    "paper": Config(vocab=205, emb=1024, hidden=4096, layers=4, max_memory=5000, semantics=PAPER),
}
BYTES = Vocabulary(["<s>", "<unk>", *(str(byte) for byte in range(11, 214))])
Step = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""(B,) ids -> (B, V) logits, the state moved on."""
Layers = list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]


def agree(steps: dict[str, Step], model: SHARNN, batch: int) -> None:
    """Raise unless all contenders compute the same logits, twice in a row."""
    for turn in range(2):
        tokens = np.arange(batch, dtype=np.int64) + 7 * turn
        logits = {name: step(tokens) for name, step in steps.items()}
        first = next(iter(logits.values()))
        scale = float(np.abs(first).max())
        for name, given in logits.items():
            np.testing.assert_allclose(given, first, rtol=0, atol=1e-4 * scale, err_msg=f"{name}, step {turn}")


def random_state(model: SHARNN, batch: int, rows: int) -> Layers:
    """h, c and memory of every block, as numbers are after a LayerNorm."""
    draw, H = np.random.default_rng(0), model.config.emb
    return [
        (
            draw.uniform(-0.5, 0.5, (batch, H)).astype(np.float32),
            draw.standard_normal((batch, H), np.float32),
            draw.standard_normal((rows if model.config.attends(i) else 0, batch, H), np.float32),
        )
        for i in range(model.config.layers)
    ]


def exported(folder: Path, layers: Layers, **options: object) -> Step:
    """The step of an export folder."""
    session = Session.load(folder, threads=1, **options)  # type: ignore[arg-type]
    session.set_state(layers)
    return session.step


def eager(model: SHARNN, layers: Layers, device: str = "cpu") -> Step:
    """The model as it is, `nn.LSTM` and concatenated memory included."""
    session = TorchSession(model)
    session.state = State(
        tuple(LayerState(*(torch.from_numpy(array).to(device) for array in layer)) for layer in layers)
    )
    return session.step


@contextmanager
def without_onednn() -> Iterator[None]:
    """PyTorch without oneDNN, which packs the weights anew at every call."""
    torch.backends.mkldnn.set_flags(_enabled=False)  # `flags`, made for this, is slower than a small step
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(_enabled=True)


class Decomposed(nn.Module):
    """The step as someone would write it who wants it fast: the LSTM by its products, gains folded into vectors, the
    memory a ring written in place."""

    def __init__(self, model: SHARNN, layers: Layers, slots: int, device: str) -> None:
        super().__init__()
        config = model.config
        self.model, self.config, self.slots = model, config, slots
        rows = max(layer[2].shape[0] for layer in layers)
        self.h = [torch.from_numpy(h).clone().to(device) for h, _, _ in layers]
        self.c = [torch.from_numpy(c).clone().to(device) for _, c, _ in layers]
        rings = (ring_of(memory, config.heads, slots) for _, _, memory in layers)
        self.rings = [torch.from_numpy(ring).to(device) if config.attends(i) else None for i, ring in enumerate(rings)]
        bias = torch.where(torch.arange(slots) < rows, 0.0, -math.inf)
        self.bias, self.slot = bias.to(device), torch.tensor([rows % slots], device=device)
        self.scale = 1.0 if config.semantics.attention_scale == "julia" else math.sqrt(config.emb // config.heads)

    def forward(self, tokens: Tensor) -> Tensor:
        model = self.model
        x = model.encoder(tokens)  # (B, H)
        self.bias.index_fill_(0, self.slot, 0.0)
        for i, block in enumerate(model.blocks):
            x = self._cell(block, block.lnstart(x), i)
            if block.attn is not None:
                x = self._attend(block, x, i)
            x = block.lnff(x) + block.boom(block.lnxff(x))
        self.slot.add_(1).remainder_(self.slots)
        logits: Tensor = model.decoder(x, model.encoder.weight) if self.config.tied else model.decoder(x)
        return logits

    def _cell(self, block: Block, x: Tensor, i: int) -> Tensor:
        rnn = block.rnn
        gates = F.linear(x, rnn.weight_ih_l0, rnn.bias_ih_l0) + F.linear(self.h[i], rnn.weight_hh_l0, rnn.bias_hh_l0)
        entry, forget, new, output = gates.chunk(4, -1)
        c = torch.sigmoid(forget) * self.c[i] + torch.sigmoid(entry) * torch.tanh(new)
        h = torch.sigmoid(output) * torch.tanh(c)
        self.c[i].copy_(c)
        self.h[i].copy_(h)
        return h

    def _attend(self, block: Block, x: Tensor, i: int) -> Tensor:
        attn, ring = block.attn, self.rings[i]
        assert attn is not None
        assert ring is not None
        B, H, A = *x.shape, self.config.heads
        ring.index_copy_(1, self.slot, block.lnmem(x).reshape(B * A, 1, H // A))
        x = block.lnmid(x)
        q = attn.qln(attn.q(x)) * torch.sigmoid(attn.qs) * torch.sigmoid(attn.ks)
        scores = ring @ q.reshape(B * A, H // A, 1) / self.scale  # (B A, C, 1)
        focus = (scores + self.bias[:, None]).softmax(1)
        mix = (focus.transpose(1, 2) @ ring).reshape(B, H)
        return x + mix * attn.value_gain()


def decomposed(model: SHARNN, layers: Layers, slots: int, *, compiled: bool, device: str = "cpu") -> Step:
    """PyTorch's best: `Decomposed`, without oneDNN, compiled or not."""
    module = Decomposed(model, layers, slots, device)
    run = torch.compile(module, dynamic=False) if compiled else module

    def step(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode(), without_onednn():
            logits: NDArray[np.float32] = run(torch.from_numpy(tokens).to(device)).cpu().numpy()
        return logits

    return step


def openvino(folder: Path, model: SHARNN, layers: Layers, slots: int, precision: str = "f32") -> Step:
    """The same graph on OpenVINO, state written in place through tensors that are input and output at once.

    `precision` is what it may compute in, "f32" or "bf16".
    """
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    graph = core.read_model(str(folder / "step.onnx"))
    batch, config = layers[0][0].shape[0], model.config
    rows = max(layer[2].shape[0] for layer in layers)
    each = np.ones(batch, np.int64)
    state: dict[str, NDArray[np.generic]] = {}
    for i, (h, c, memory) in enumerate(layers):
        state |= {f"layers.{i}.h": h.copy(), f"layers.{i}.c": c.copy()}
        if config.attends(i):
            state[f"layers.{i}.ring"] = ring_of(memory, config.heads, slots)
    held = min(rows + 1, slots)
    given = step_inputs(config, 0 * each, each.astype(bool), rows % slots * each, held * each)
    arrays = {**state, **given, "numbers": np.arange(slots)}
    graph.reshape({name: list(array.shape) for name, array in arrays.items()})
    request = core.compile_model(graph, "CPU", settings).create_infer_request()
    for name, array in arrays.items():
        tensor = openvino.Tensor(array, shared_memory=True)
        request.set_tensor(name, tensor)
        if name in state:
            request.set_tensor(f"{name}.next", tensor)

    def step(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        arrays["tokens"][:] = tokens
        request.infer()
        arrays["slots"][:, 1] = (arrays["slots"][:, 1] + 1) % slots
        arrays["held"][:] = np.minimum(arrays["held"] + 1, slots)
        return np.array(request.get_tensor("logits").data)

    return step


def concatenating(folder: Path, model: SHARNN, layers: Layers) -> Step:
    """The exported step on onnxruntime, but its memory, full, concatenates a row and cuts the oldest off, by copies."""
    config, batch = model.config, layers[0][0].shape[0]
    graph = onnx.load(str(folder / "step.onnx"), load_external_data=False)
    numbers = {"one": 1, "end": 2**31 - 1}
    graph.graph.initializer.extend(helper.make_tensor(n, onnx.TensorProto.INT64, [1], [v]) for n, v in numbers.items())
    nodes = []
    for node in graph.graph.node:
        name = node.output[0]
        if node.op_type == "ScatterND" and name.endswith(".ring.next"):
            ring, _, new = node.input
            nodes += [
                helper.make_node("Unsqueeze", [new, "one"], [f"{name}.row"]),  # (B A, 1, d)
                helper.make_node("Slice", [ring, "one", "end", "one"], [f"{name}.kept"]),
                helper.make_node("Concat", [f"{name}.kept", f"{name}.row"], [name], axis=1),
            ]
        else:
            nodes.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    path = folder / "step.concatenating.onnx"
    onnx.save(graph, str(path))
    session = open_session(path, "cpu", threads=1)

    rows = max(layer[2].shape[0] for layer in layers)
    each = np.ones(batch, np.int64)
    given = step_inputs(config, 0 * each, each.astype(bool), 0 * each, rows * each) | {"numbers": np.arange(rows)}
    state: dict[str, NDArray[np.generic]] = {}
    for i, (h, c, memory) in enumerate(layers):
        state |= {f"layers.{i}.h": h, f"layers.{i}.c": c}
        if config.attends(i):
            state[f"layers.{i}.ring"] = ring_of(memory, config.heads, rows)
    carried = {name: OrtValue.ortvalue_from_numpy(array) for name, array in state.items()}

    def step(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        binding = session.io_binding()
        for name, array in (given | {"tokens": tokens}).items():
            binding.bind_cpu_input(name, array)
        for name, value in carried.items():
            binding.bind_ortvalue_input(name, value)
        for name in ("logits", *(f"{name}.next" for name in carried)):
            binding.bind_output(name, "cpu")
        session.run_with_iobinding(binding)
        logits, *values = binding.get_outputs()
        carried.update(zip(list(carried), values, strict=True))
        return np.array(logits.numpy())

    return step
