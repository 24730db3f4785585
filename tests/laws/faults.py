"""Faults planted in every back end's state handling, each of which some law must find.

A fault is a function that plants it with pytest's monkeypatch; its docstring says what is wrong. `FAULTS` has them by
name, with the back end that they are in.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

import export.graph.segment as segment_graph
import export.graph.step as step_graph
import export.serving.ring as ring
import export.serving.session as onnx_session
import export.serving.step_state as stepping
import julia_bridge.sharnn.model as julia_model
import parity.laws.backends as backends
import sharnn_py.model as model
import sharnn_py.state as state_module
import sharnn_py.torch_session as torch_session
from export.serving.segment_state import SegmentState
from julia_bridge.sharnn.model import LayerArrays
from sharnn_py import LayerState, State
from sharnn_py.model import Block

FAULTS = {}


def fault(where):
    def enter(plant):
        FAULTS[plant.__name__] = (where, plant)
        return plant

    return enter


# PyTorch: what a block leaves behind


def after_block(patch, change):
    """Let `change(block, seen, before, after)` alter the state that a block returns."""
    original = Block.forward

    def forward(self, h, state, note):
        seen = {}

        def both(name, tensor):
            seen[name] = tensor
            return note(name, tensor)

        out, after = original(self, h, state, both)
        return out, change(self, seen, state, after)

    patch.setattr(Block, "forward", forward)


def memory_of_keys(patch, choose):
    """Let `choose(keys, N)` say what is kept."""

    def change(block, seen, before, after):
        if block.attn is None:
            return after
        return dataclasses.replace(after, memory=choose(seen["keys"], block.max_memory).detach())

    after_block(patch, change)


@fault("torch")
def one_row_too_many_is_kept(patch):
    memory_of_keys(patch, lambda keys, N: keys[-(N + 1) :])


@fault("torch")
def one_row_too_few_is_kept(patch):
    memory_of_keys(patch, lambda keys, N: keys[-N:][1:] if len(keys) > N else keys[-N:])


@fault("torch")
def the_oldest_rows_are_kept(patch):
    memory_of_keys(patch, lambda keys, N: keys[:N])


@fault("torch")
def rows_are_kept_newest_first(patch):
    memory_of_keys(patch, lambda keys, N: keys[-N:].flip(0))


@fault("torch")
def memory_is_normed_again_with_every_segment(patch):
    original = Block.forward

    def forward(self, h, state, note):
        if self.lnmem is not None and len(state.memory):
            state = dataclasses.replace(state, memory=self.lnmem(state.memory))
        return original(self, h, state, note)

    patch.setattr(Block, "forward", forward)


@fault("torch")
def hidden_states_are_kept_unnormed(patch):
    def change(block, seen, before, after):
        if block.attn is None:
            return after
        rows = torch.cat([before.memory, seen["post_rnn"].detach()])
        return dataclasses.replace(after, memory=rows[-block.max_memory :])

    after_block(patch, change)


@fault("torch")
def stale_h_with_fresh_c(patch):
    after_block(patch, lambda block, seen, before, after: dataclasses.replace(after, h=before.h))


@fault("torch")
def stale_c_with_fresh_h(patch):
    after_block(patch, lambda block, seen, before, after: dataclasses.replace(after, c=before.c))


@fault("torch")
def h_and_c_change_places(patch):
    after_block(patch, lambda block, seen, before, after: LayerState(after.c, after.h, after.memory))


@fault("torch")
def h_is_the_first_steps(patch):
    after_block(patch, lambda block, seen, before, after: dataclasses.replace(after, h=seen["rnn"][0].detach()))


@fault("torch")
def the_memory_is_not_detached(patch):
    def change(block, seen, before, after):
        return after if block.attn is None else dataclasses.replace(after, memory=seen["memory"])

    after_block(patch, change)


@fault("torch")
def h_is_not_detached(patch):
    after_block(patch, lambda block, seen, before, after: dataclasses.replace(after, h=seen["rnn"][-1]))


@fault("torch")
def the_memory_is_of_half_precision(patch):
    after_block(
        patch,
        lambda block, seen, before, after: dataclasses.replace(
            after, memory=after.memory.half().to(after.memory.dtype)
        ),
    )


# PyTorch: which rows are attended to


@fault("torch")
def one_row_more_is_dropped(patch):
    rule = model.rows_dropped
    patch.setattr(model, "rows_dropped", lambda *args: rule(*args) + 1)


@fault("torch")
def one_row_less_is_dropped(patch):
    rule = model.rows_dropped
    patch.setattr(model, "rows_dropped", lambda *args: max(0, rule(*args) - 1))


@fault("torch")
def nothing_is_dropped(patch):
    patch.setattr(model, "rows_dropped", lambda *args: 0)


def mask_from(patch, diagonal):
    """Hide keys from the diagonal `diagonal(memory)` on; the right one is memory + 1."""

    def mask(memory, steps, like):
        return torch.full((steps, memory + steps), -torch.inf, dtype=like.dtype).triu(diagonal(memory))

    patch.setattr(model, "causal_mask", mask)


@fault("torch")
def the_mask_is_one_too_narrow(patch):
    mask_from(patch, lambda memory: memory or 1)  # without memory the first step would see nothing at all


@fault("torch")
def the_mask_shows_the_next_step(patch):
    mask_from(patch, lambda memory: memory + 2)


# PyTorch: states as values, files, sessions


def after_reordering(patch, mix):
    """Let `mix(new, old, batch)` say what a layer of `batch` chosen sequences is, if there were as many before."""
    original = State.__getitem__

    def picked(self, rows):
        chosen = original(self, rows)
        if chosen.batch > self.batch:
            return chosen
        pairs = zip(chosen.layers, self.layers, strict=True)
        return State(tuple(mix(new, old, chosen.batch) for new, old in pairs))

    patch.setattr(State, "__getitem__", picked)


@fault("torch")
def reordering_leaves_the_memory(patch):
    after_reordering(patch, lambda new, old, B: dataclasses.replace(new, memory=old.memory[:, :B]))


@fault("torch")
def reordering_leaves_c(patch):
    after_reordering(patch, lambda new, old, B: dataclasses.replace(new, c=old.c[:B]))


@fault("torch")
def c_is_saved_as_h(patch):
    original = state_module.name_tensors
    patch.setattr(state_module, "name_tensors", lambda layers: original((h, h, m) for h, c, m in layers))


@fault("torch")
def the_memory_is_saved_in_half_precision(patch):
    original = state_module.name_tensors

    def cast(layers):
        return original((h, c, m.half().to(m.dtype)) for h, c, m in layers)

    patch.setattr(state_module, "name_tensors", cast)


@fault("torch")
def a_loaded_memory_is_newest_first(patch):
    original = state_module.read_layers
    patch.setattr(state_module, "read_layers", lambda *args: [(h, c, m.flip(0)) for h, c, m in original(*args)])


@fault("torch")
def a_fork_is_the_session_itself(patch):
    patch.setattr(torch_session.TorchSession, "fork", lambda self: self)


def after_reset(patch, keep):
    """Let `keep(fresh, old)` mix the state of a reset with the one before it, of as many sequences."""
    original = torch_session.TorchSession.reset

    def reset(self, batch=1):
        before = getattr(self, "state", None)
        original(self, batch)
        if before is not None and before.batch == batch:
            self.state = State(tuple(keep(*pair) for pair in zip(self.state.layers, before.layers, strict=True)))

    patch.setattr(torch_session.TorchSession, "reset", reset)


@fault("torch")
def a_reset_keeps_c(patch):
    after_reset(patch, lambda fresh, old: dataclasses.replace(fresh, c=old.c))


@fault("torch")
def a_reset_keeps_the_memory(patch):
    after_reset(patch, lambda fresh, old: dataclasses.replace(fresh, memory=old.memory))


@fault("torch")
def a_cast_goes_through_bfloat16(patch):
    original = State.to
    patch.setattr(State, "to", lambda self, *args, **named: original(original(self, torch.bfloat16), *args, **named))


# onnxruntime: the ring


@fault("onnx step")
def the_ring_never_wraps(patch):
    def advance(self):
        self.held = min(self.held + 1, self.capacity)
        self.next = min(self.next + 1, self.capacity - 1)

    patch.setattr(ring.Slots, "advance", advance)


@fault("onnx step")
def a_step_is_written_over_the_one_before(patch):
    patch.setattr(ring.Slots, "advance", lambda self: setattr(self, "held", min(self.held + 1, self.capacity)))


@fault("onnx step")
def a_ring_starts_at_slot_0_over_loaded_rows(patch):
    patch.setattr(ring.Slots, "after", classmethod(lambda cls, rows, capacity: cls(capacity, rows, 0)))


@fault("onnx step")
def rows_come_back_by_slot_and_not_by_age(patch):
    patch.setattr(ring.Slots, "oldest_first", lambda self: np.arange(self.held))


@fault("onnx step")
def the_ring_is_one_slot_too_small(patch):
    rule = onnx_session.most_keys_of_a_step
    patch.setattr(onnx_session, "most_keys_of_a_step", lambda config: max(1, rule(config) - 1) if rule(config) else 0)


@fault("onnx step")
def the_ring_is_one_slot_too_large(patch):
    rule = onnx_session.most_keys_of_a_step
    patch.setattr(onnx_session, "most_keys_of_a_step", lambda config: rule(config) + 1 if rule(config) else 0)


@fault("onnx step")
def heads_and_sequences_are_mixed_in_the_ring(patch):
    def mixed(memory, heads, capacity):
        M, B, H = memory.shape
        filled = np.zeros((B * heads, capacity, H // heads), memory.dtype)
        filled[:, :M] = memory.reshape(M, B, heads, H // heads).transpose(2, 1, 0, 3).reshape(B * heads, M, H // heads)
        return filled

    patch.setattr(stepping, "ring_of", mixed)


@fault("onnx step")
def sequences_are_mixed_on_the_way_back(patch):
    original = stepping.memory_of
    patch.setattr(stepping, "memory_of", lambda rows, slots, batch: original(rows, slots, batch)[:, ::-1])


@fault("onnx step")
def slots_that_were_never_written_are_attended_to(patch):
    original = stepping.StepState.__init__

    def begin(self, session, config, layers, slots, device, graph):
        original(self, session, config, layers, slots, device, graph)
        if config.attention_layers:
            self._state["bias"].update_inplace(np.zeros(slots.capacity, np.float32))

    patch.setattr(stepping.StepState, "__init__", begin)


@fault("onnx step")
def a_fork_shares_its_buffers(patch):
    def fork(self):
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    patch.setattr(onnx_session.Session, "fork", fork)


@fault("onnx step")
def the_step_graph_puts_the_wrong_row_into_the_ring(patch):
    original = step_graph.layer_norm
    patch.setattr(step_graph, "layer_norm", lambda g, config, x, name: _renamed(original, g, config, x, name))


def _renamed(original, g, config, x, name):
    """`lnmem`'s result with `lnmid`'s weights."""
    if not name.endswith("lnmem"):
        return original(g, config, x, name)
    weights = {f"{name}.{part}": g.weights[f"{name.replace('lnmem', 'lnmid')}.{part}"] for part in ("weight", "bias")}
    kept, g.weights = g.weights, {**g.weights, **weights}
    made = original(g, config, x, name)
    g.weights = kept
    return made


@fault("onnx step")
def a_ring_that_grows_forgets_its_oldest_row(patch):
    original = onnx_session.Session._ring

    def grown(self, layers):
        if isinstance(self._state, stepping.StepState):
            layers = [(h, c, memory[1:]) for h, c, memory in layers]
        return original(self, layers)

    patch.setattr(onnx_session.Session, "_ring", grown)


@fault("onnx step")
def a_ring_is_never_seen_to_be_full(patch):
    patch.setattr(onnx_session.Session, "_must_grow", lambda self, slots: False)


@fault("onnx either")
def a_segment_after_steps_begins_from_the_segment_before(patch):
    original = onnx_session.Session._carried

    def carried(self):
        state = original(self) if not hasattr(self, "_last") else self._last
        self._last = state
        return state

    patch.setattr(onnx_session.Session, "_carried", carried)


@fault("onnx either")
def rows_go_to_the_ring_newest_first_and_the_oldest_is_written_over_last(patch):
    original = stepping.ring_of
    patch.setattr(stepping, "ring_of", lambda memory, heads, capacity: original(memory[::-1], heads, capacity))


# onnxruntime: segments


@fault("onnx segment")
def the_hosts_mask_is_one_too_narrow(patch):
    original = onnx_session.segment_mask

    def narrow(config, rows, steps):
        mask = original(config, rows, steps)
        seen = np.flatnonzero(np.isfinite(mask[0]))
        if len(seen) > 1:
            mask[:, seen[0]] = -np.inf
        return mask

    patch.setattr(onnx_session, "segment_mask", narrow)


@fault("onnx segment")
def the_hosts_mask_forgets_the_cut(patch):
    def wide(config, rows, steps):
        return np.triu(np.full((steps, rows + steps), -np.inf, np.float32), k=rows + 1)

    patch.setattr(onnx_session, "segment_mask", wide)


@fault("onnx segment")
def the_segment_graph_keeps_the_oldest_rows(patch):
    original = segment_graph.Graph.add

    def add(self, op, inputs, output, **attributes):
        if op == "Slice" and output.endswith("memory.next"):
            kept = int(inputs[1].removeprefix("int64_-"))
            inputs = [inputs[0], self.integers(0), self.integers(kept), inputs[3]]
        return original(self, op, inputs, output, **attributes)

    patch.setattr(segment_graph.Graph, "add", add)


@fault("onnx segment")
def the_scale_is_of_one_step_more(patch):
    class OffByOne:
        """NumPy, but for a root."""

        def __getattr__(self, name):
            return getattr(np, name)

        def sqrt(self, x):
            return np.sqrt(x + 1)

    patch.setattr(onnx_session, "np", OffByOne())


@fault("onnx segment")
def a_cast_is_lost_where_a_state_is_placed(patch):
    original = SegmentState.place.__func__

    def place(cls, layers, config, dtype, device):
        return original(cls, [(h, c.astype(np.float16), m) for h, c, m in layers], config, dtype, device)

    patch.setattr(SegmentState, "place", classmethod(place))


@fault("onnx segment")
def a_written_state_keeps_its_old_h(patch):
    original = onnx_session.Session.set_state

    def set_state(self, layers):
        before = self.state()
        if before[0][0].shape == layers[0][0].shape:
            layers = [(old[0], *new[1:]) for old, new in zip(before, layers, strict=True)]
        original(self, layers)

    patch.setattr(onnx_session.Session, "set_state", set_state)


@fault("onnx segment")
def features_come_back_in_reverse(patch):
    def layers(self, config):
        none = np.zeros((0, self.batch, config.emb), np.float32)

        def of(i, part):
            value = self.values.get(f"layers.{i}.{part}")
            return none if value is None else np.array(value.numpy())[..., ::-1]

        return [(of(i, "h"), of(i, "c"), of(i, "memory")) for i in range(config.layers)]

    patch.setattr(SegmentState, "layers", layers)


# The bridge to Julia


def for_julia(patch, change):
    original = julia_model.JuliaModel._for_julia

    def given(self, state):
        return original(self, julia_model.JuliaState(tuple(change(layer) for layer in state.layers)))

    patch.setattr(julia_model.JuliaModel, "_for_julia", given)


@fault("julia")
def h_and_c_change_places_on_the_way_to_julia(patch):
    for_julia(patch, lambda layer: LayerArrays(layer.c, layer.h, layer.memory))


@fault("julia")
def the_memory_is_newest_first_on_the_way_to_julia(patch):
    for_julia(patch, lambda layer: LayerArrays(layer.h, layer.c, np.ascontiguousarray(layer.memory[::-1])))


@fault("julia")
def sequences_are_mixed_on_the_way_to_julia(patch):
    for_julia(patch, lambda layer: LayerArrays(layer.h, layer.c, np.ascontiguousarray(layer.memory[:, ::-1])))


@fault("julia")
def julia_is_never_given_the_memory(patch):
    for_julia(patch, lambda layer: LayerArrays(layer.h, layer.c, layer.memory[:0]))


@fault("julia")
def julia_is_given_ids_from_0(patch):
    original = julia_model.JuliaModel.run
    patch.setattr(
        julia_model.JuliaModel, "run",
        lambda self, ids, targets, state=None: original(self, np.maximum(ids - 1, 0), targets, state),
    )  # fmt: skip


@fault("julia")
def the_oldest_row_comes_back_twice(patch):
    original = julia_model.JuliaModel._from_julia

    def back(self, answer):
        state = original(self, answer)
        return julia_model.JuliaState(
            tuple(LayerArrays(x.h, x.c, np.concatenate([x.memory[:1], x.memory[:-1]])) for x in state.layers)
        )

    patch.setattr(julia_model.JuliaModel, "_from_julia", back)


@fault("julia")
def a_state_for_julia_goes_through_half_precision(patch):
    original = backends.JuliaBackend.write

    def write(self, layers):
        original(self, [(h.astype(np.float16), c, memory) for h, c, memory in layers])

    patch.setattr(backends.JuliaBackend, "write", write)
