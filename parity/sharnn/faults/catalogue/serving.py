"""Faults of what carries state outside the model: sessions, state files, the ring, exported graphs, the bridge."""

from __future__ import annotations

from parity.sharnn.faults.fault import Fault
from parity.sharnn.faults.plant import Edit, Value

ROWS = "state.layers[i].memory"


def _chosen(old: str, new: str) -> Edit:
    """Where no more sequences are chosen than there are, `new` is what a layer has of them."""
    return Edit("sharnn_py.state:State.__getitem__", old, f"({new} if len(at) <= self.batch else {old})")


def _saved(tensors: str) -> Edit:
    return Edit("sharnn_py.state:State.save", "layer.tensors()", tensors)


def _reset(layer: str) -> Edit:
    """A reset to as many sequences keeps something of the `old` layer beside the `new` one."""
    zeros = 'self.state = State.zeros(self.config, at_least(1, "batch", batch), dtype=like.dtype, device=like.device)'
    lines = (
        "before = getattr(self, 'state', None)", zeros, "if before is not None and before.batch == batch:",
        f"    self.state = State(tuple(type(new)({layer}) for new, old in zip(self.state.layers, before.layers)))",
    )  # fmt: skip
    return Edit("sharnn_py.torch_session:TorchSession.reset", zeros, "\n    ".join(lines))


def _slots(method: str, old: str, new: str) -> Edit:
    return Edit(f"export.serving.ring:Slots.{method}", old, new)


def _most_keys(new: str) -> Value:
    """What a session takes for the most keys of a step, of a model that attends."""
    changed = f"lambda config: {new} if most_keys_of_a_step(config) else 0"
    return Value("export.serving.session:most_keys_of_a_step", changed)


def _step_state(old: str, new: str) -> Edit:
    return Edit("export.serving.step_state:StepState.__init__", old, new)


def _session(method: str, old: str, new: str) -> Edit:
    return Edit(f"export.serving.session:Session.{method}", old, new)


def _segment_state(method: str, old: str, new: str) -> Edit:
    return Edit(f"export.serving.segment_state:SegmentState.{method}", old, new)


def _host_mask(new: str) -> Edit:
    return Edit("export.serving.mask:segment_mask", "mask[:, :dropped] = -np.inf", new)


def _for_julia(old: str, new: str) -> Edit:
    return Edit("julia_bridge.sharnn.model:JuliaModel._for_julia", old, new)


FAULTS = [
    Fault("reordering-leaves-the-memory", "state", "chosen sequences keep the memory of those that stood there",
          _chosen("layer.memory.index_select(1, at)", "layer.memory[:, : len(at)]"),
          laws={"torch": "reordering_commutes_with_everything (julia)"}),
    Fault("reordering-leaves-c", "state", "chosen sequences keep the cell of those that stood there",
          _chosen("layer.c.index_select(0, at)", "layer.c[: len(at)]"),
          laws={"torch": "reordering_commutes_with_everything (julia)"}),
    Fault("c-saved-as-h", "state file", "h is written in the place of c", _saved("(layer.h, layer.h, layer.memory)"),
          laws={"torch": "saving_and_loading_changes_nothing (julia)"}),
    Fault("memory-saved-in-float16", "state file", "",
          _saved("(layer.h, layer.c, layer.memory.half().to(layer.memory.dtype))"),
          laws={"torch": "saving_and_loading_changes_nothing (julia)"}),
    Fault("memory-loaded-newest-first", "state file", "",
          Edit("sharnn_py.state:State.load", "LayerState(*layer)", "LayerState(layer[0], layer[1], layer[2].flip(0))"),
          laws={"torch": "saving_and_loading_changes_nothing (julia)"}),
    Fault("cast-through-bfloat16", "state", "a state that is moved passes through bfloat16",
          Edit("sharnn_py.state:State.to", "t.to(*args", "t.to(torch.bfloat16).to(*args"),
          laws={"torch": "a_move_to_a_wider_dtype_and_back_changes_nothing"}),
    Fault("fork-is-the-session-itself", "session", "",
          Edit("sharnn_py.torch_session:TorchSession.fork", "return other", "return self"),
          laws={"torch": "forks_go_their_own_ways (julia)"}),
    Fault("reset-keeps-c", "session", "", _reset("new.h, old.c, new.memory"),
          laws={"torch": "a_reset_forgets_everything (julia)"}),
    Fault("reset-keeps-the-memory", "session", "", _reset("new.h, new.c, old.memory"),
          laws={"torch": "a_reset_forgets_everything (julia)"}),
    Fault("ring-never-wraps", "ring", "once full, the ring's last slot is written again and again",
          _slots("advance", "(self.next + 1) % self.capacity", "min(self.next + 1, self.capacity - 1)"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("step-written-over-the-one-before", "ring", "",
          _slots("advance", "self.next = (self.next + 1) % self.capacity", "pass"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("ring-starts-over-loaded-rows", "ring",
          "the first step is written over the oldest of the rows put into the ring",
          _slots("after", "rows % capacity", "0"), laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("rows-by-slot-not-by-age", "ring", "rows come back in the order of their slots",
          _slots("oldest_first", "np.arange(self.next - self.held, self.next) % self.capacity", "np.arange(self.held)"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("ring-one-slot-too-small", "ring", "", _most_keys("max(1, most_keys_of_a_step(config) - 1)"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("ring-one-slot-too-large", "ring", "", _most_keys("most_keys_of_a_step(config) + 1"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("heads-and-sequences-mixed-in-the-ring", "ring",
          "rows of a head and of a sequence change places where the ring is filled",
          Edit("export.serving.ring:ring_of", "memory.reshape(M, B * heads, H // heads).transpose(1, 0, 2)",
               "memory.reshape(M, B, heads, H // heads).transpose(2, 1, 0, 3).reshape(B * heads, M, H // heads)"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("sequences-mixed-on-the-way-back", "ring", "rows read from the ring have the batch in reverse",
          Edit("export.serving.ring:memory_of", "batch, -1)", "batch, -1)[:, ::-1]"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("empty-slots-attended-to", "ring", "slots that were never written are attended to",
          _step_state("np.where(np.arange(slots.capacity) < slots.held, 0, -np.inf)", "np.zeros(slots.capacity)"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("fork-shares-its-buffers", "session", "a fork's steps are written into the session's ring",
          _session("fork", "isinstance(self._state, StepState)", "False"),
          laws={"onnx step": "forks_go_their_own_ways (julia)"}),
    Fault("step-graph-keeps-another-row", "step graph", "the row put into the ring is normed by lnmid",
          Edit("export.graph.layers:layer_norm", 'g.weight(f"{name}.weight"), g.weight(f"{name}.bias")',
               "*(g.weight((name.replace('lnmem', 'lnmid') if g.name == 'step' else name) + part)"
               " for part in ('.weight', '.bias'))"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("growing-ring-forgets-its-oldest-row", "ring", "",
          _session("_ring", "most_keys, rows =", "oldest = int(isinstance(self._state, StepState))\n    "
                   "layers = [(h, c, memory[oldest:]) for h, c, memory in layers]\n    most_keys, rows ="),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("ring-never-seen-to-be-full", "ring", "",
          _session("_must_grow", "slots.held == slots.capacity < most_keys", "False"),
          laws={"onnx step": "every_segment_is_the_plain_models (julia)"}),
    Fault("segment-begins-from-the-segment-before", "session",
          "a segment after steps begins from the segment before them",
          _session("_carried", "return self._state",
                   "self._last = getattr(self, '_last', self._state)\n    return self._last"),
          laws={"onnx either": "every_segment_is_the_plain_models (julia)"}),
    Fault("ring-filled-newest-first", "ring",
          "rows go to the ring newest first, so that the oldest is written over last",
          _step_state("ring_of(memory,", "ring_of(memory[::-1],"),
          laws={"onnx either": "every_segment_is_the_plain_models (julia)"}),
    Fault("hosts-mask-one-too-narrow", "segment", "the first key that may be seen is hidden",
          _host_mask("mask[:, :dropped] = -np.inf\n    seen = np.flatnonzero(np.isfinite(mask[0]))\n    "
                     "mask[:, seen[:1][: len(seen) - 1]] = -np.inf"),
          laws={"onnx segment": "every_segment_is_the_plain_models (julia)"}),
    Fault("hosts-mask-forgets-the-cut", "segment", "rows that the model drops are attended to", _host_mask("pass"),
          laws={"onnx segment": "every_segment_is_the_plain_models (julia)"}),
    Fault("segment-graph-keeps-the-oldest-rows", "segment graph", "",
          Edit("export.graph.segment:_attend", "g.integers(-config.max_memory), g.integers(_END)",
               "g.integers(0), g.integers(config.max_memory)"),
          laws={"onnx segment": "every_segment_is_the_plain_models (julia)"}),
    Fault("scale-of-one-step-more", "segment", "scores are divided by the root of T + 1",
          _session("prefill", "np.sqrt(steps)", "np.sqrt(steps + 1)"),
          laws={"onnx segment": "every_segment_is_the_plain_models (julia)"}),
    Fault("c-placed-in-float16", "segment", "c passes through half precision where a state is placed",
          _segment_state("place", "array.astype(dtype)",
                   "(array.astype(np.float16) if part == 'c' else array).astype(dtype)"),
          laws={"onnx segment": "the_future_depends_on_the_state_alone (julia)"}),
    Fault("written-state-keeps-its-old-h", "session", "a state that is written keeps the h that was there",
          _session("set_state", "self._place(layers)",
                   "before = self.state()\n    if before[0][0].shape == layers[0][0].shape:\n        "
                   "layers = [(old[0], *new[1:]) for old, new in zip(before, layers)]\n    self._place(layers)"),
          laws={"onnx segment": "the_future_depends_on_the_state_alone (julia)"}),
    Fault("features-come-back-in-reverse", "segment", "",
          _segment_state("layers", "np.array(value.numpy())", "np.array(value.numpy())[..., ::-1]"),
          laws={"onnx segment": "every_segment_is_the_plain_models (julia)"}),
    Fault("h-and-c-exchanged-on-the-way-to-julia", "bridge", "",
          _for_julia('"h": layer.h, "c": layer.c', '"h": layer.c, "c": layer.h'),
          laws={"julia": "every_segment_is_the_plain_models (julia)"}),
    Fault("memory-newest-first-on-the-way-to-julia", "bridge", "",
          _for_julia(ROWS, f"np.ascontiguousarray({ROWS}[::-1])"),
          laws={"julia": "every_segment_is_the_plain_models (julia)"}),
    Fault("sequences-mixed-on-the-way-to-julia", "bridge", "the memory given to Julia has the batch in reverse",
          _for_julia(ROWS, f"np.ascontiguousarray({ROWS}[:, ::-1])"),
          laws={"julia": "every_segment_is_the_plain_models (julia)"}),
    Fault("memory-never-given-to-julia", "bridge", "", _for_julia(ROWS, f"{ROWS}[:0]"),
          laws={"julia": "every_segment_is_the_plain_models (julia)"}),
    Fault("julia-given-ids-from-0", "bridge", "Julia, which counts ids from 1, is given them from 0",
          Edit("julia_bridge.sharnn.model:JuliaModel.run", "tokens + 1", "np.maximum(tokens, 1)"),
          laws={"julia": "every_segment_is_the_plain_models (julia)"}),
    Fault("oldest-row-comes-back-twice", "bridge", "the oldest row comes back from Julia twice, the newest not at all",
          Edit("julia_bridge.sharnn.model:JuliaModel._from_julia", 'answer["memory"].get(str(i + 1), empty)',
               '(lambda rows: np.concatenate([rows[:1], rows[:-1]]))(answer["memory"].get(str(i + 1), empty))'),
          laws={"julia": "every_segment_is_the_plain_models (julia)"}),
    Fault("h-for-julia-in-float16", "bridge", "h passes through half precision where a state for Julia is written",
          Edit("parity.laws.backends:JuliaBackend.write", "for layer in layers",
               "for layer in [(h.astype(np.float16), c, memory) for h, c, memory in layers]"),
          laws={"julia": "the_future_depends_on_the_state_alone (julia)"}),
]  # fmt: skip
