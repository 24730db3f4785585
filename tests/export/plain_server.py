"""Serving an export folder from its manifest alone, in plain NumPy and onnxruntime.

It imports nothing of this project, and follows docs/onnx.md word for word: what it gets right, a program in any other
language can.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime


class PlainServer:
    """B sequences, fed in segments and step by step."""

    def __init__(self, folder, batch):
        self.manifest = json.loads((Path(folder) / "manifest.json").read_text())
        self.graphs = {
            name: onnxruntime.InferenceSession(
                str(Path(folder) / self.manifest["graphs"][name]["file"]), providers=["CPUExecutionProvider"]
            )
            for name in ("segment", "step")
        }
        config = self.manifest["config"]
        self.sizes = {"B": batch, "B_heads": batch * config["heads"]}
        self.state = self.zeros("segment", M=0)
        self.rows = 0

    def zeros(self, graph, **sizes):
        """Every input of a graph that has an output to carry on."""
        entry = self.manifest["graphs"][graph]
        carried = {port["name"] for port in entry["outputs"] if port["name"].endswith(".next")}
        sizes = {**self.sizes, **sizes}
        return {
            port["name"]: np.zeros([sizes.get(d, d) for d in port["shape"]], port["dtype"])
            for port in entry["inputs"]
            if port["name"] + ".next" in carried
        }

    def rule(self, about, name):
        return self.manifest["rules"][about][name]

    def inputs(self, graph):
        return [port["name"] for port in self.manifest["graphs"][graph]["inputs"]]

    def run(self, graph, feeds):
        names = [port["name"] for port in self.manifest["graphs"][graph]["outputs"]]
        outputs = dict(zip(names, self.graphs[graph].run(names, feeds), strict=True))
        self.state = {name: outputs[f"{name}.next"] for name in self.state}
        return outputs["logits"]

    def segment(self, tokens):
        """(T, B) ids; logits (T, B, V)."""
        T, M = len(tokens), self.rows
        feeds = {"tokens": tokens, **self.state}
        if "mask" in self.inputs("segment"):
            cases = self.rule("mask", "dropped")
            case = next(c for c in cases if c["steps_below"] is None or c["steps_below"] > T)
            dropped = min(M, max(0, case["rows"] * M + case["steps"] * T + case["plus"]))
            t, j = np.arange(T)[:, None], np.arange(M + T)
            feeds["mask"] = np.where((dropped <= j) & (j <= M + t), 0, -np.inf).astype(np.float32)
            self.rows = min(self.rule("memory", "most_rows"), M + T)
        if "attention_scale" in self.inputs("segment"):
            feeds["attention_scale"] = np.array(T ** self.rule("attention_scale", "power"), np.float32)
        return self.run("segment", feeds)

    def begin_steps(self):
        """From the memory of segments to a ring, here of all slots that it may ever need."""
        memories = {name: value for name, value in self.state.items() if name.endswith(".memory")}
        state = {name: value for name, value in self.state.items() if name not in memories}
        self.slot = 0
        if memories:
            C, heads, d = (self.rule("ring", name) for name in ("most_keys", "heads", "width"))
            rings = self.zeros("step", C=C)
            for name, memory in memories.items():
                M, B, _ = memory.shape
                ring = rings[name.removesuffix(".memory") + ".ring"]
                for s in range(M):
                    for b in range(B):
                        for a in range(heads):
                            ring[b * heads + a][s] = memory[s][b][a * d : (a + 1) * d]
            state |= {name: value for name, value in rings.items() if name.endswith(".ring")}
            self.numbers = np.arange(C)
            self.slot = self.rows % C
            self.written = [*range(self.rows)]
        self.state = state

    def begin_segments(self):
        """From a ring back to the memory of segments: the last rows written, oldest first."""
        rings = {name: value for name, value in self.state.items() if name.endswith(".ring")}
        self.state = {name: self.state[name] for name in self.zeros("segment", M=0) if name in self.state}
        if rings:
            slots = self.written[-self.rule("memory", "most_rows") :]
            self.rows = len(slots)
            for name, ring in rings.items():
                rows = ring[:, slots].transpose(1, 0, 2).reshape(len(slots), self.sizes["B"], -1)
                self.state[name.removesuffix(".ring") + ".memory"] = np.ascontiguousarray(rows)

    def step(self, tokens):
        """(B,) ids; logits (B, V)."""
        feeds = {"tokens": tokens, "due": np.ones((self.sizes["B"], 1), bool), **self.state}
        if "slots" in self.inputs("step"):
            feeds["slots"] = np.array([(row, self.slot) for row in range(self.sizes["B_heads"])], np.int64)
            self.written = [slot for slot in self.written if slot != self.slot] + [self.slot]
            self.slot = (self.slot + 1) % self.rule("ring", "most_keys")
            feeds["held"] = np.full((self.sizes["B_heads"], 1, 1), len(self.written))
            feeds["numbers"] = self.numbers
        return self.run("step", feeds)
