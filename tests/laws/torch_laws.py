"""Laws of PyTorch alone: what attention weighs, where gradients go, what a dtype does.

A law here takes `draw`; `test_torch.py` checks it, and faults are looked for by it as by the others.
"""

import numpy as np
import torch
from hypothesis import strategies as st

from parity.laws.backends import TorchBackend, model_of
from parity.laws.laws import same
from parity.laws.oracle import UNITS, Broken
from parity.laws.strategies import specs, states, token_segments, tokens
from sharnn_py import LayerState, State, nll

SPECS = st.sampled_from(["julia", "paper"]).flatmap(specs)
ROUNDING = 8 * UNITS[np.float32]
"""The rounding of a sum of a dozen weights that add up to 1, each rounded once and added once."""

TORCH_LAWS = {}


def law(function):
    TORCH_LAWS[function.__name__] = function
    return function


def torch_state(layers):
    return State(tuple(LayerState(*(torch.from_numpy(array) for array in layer)) for layer in layers))


def noted(spec, segment, layers):
    seen = {}
    model_of(spec.config, spec.parameters())(torch.from_numpy(segment), torch_state(layers), note=seen.__setitem__)
    return {name: tensor.detach().numpy() for name, tensor in seen.items()}


@law
def weights_are_a_distribution_over_the_keys_that_may_be_seen(draw):
    """A step sees the memory that is left, the segment before it, itself, and nothing after it."""
    spec, batch = draw(SPECS), draw(st.integers(1, 2))
    layers, segment = draw(states(spec.config, batch)), draw(tokens(draw(st.integers(1, 5)), batch))
    seen, T = noted(spec, segment, layers), len(segment)
    for i in spec.config.attention_layers:
        focus, M = seen[f"blocks.{i}.attn.focus"], len(seen[f"blocks.{i}.memory_in"])  # (B, A, T, K)
        if focus.shape != (batch, spec.config.heads, T, M + T):
            raise Broken(f"the weights have shape {focus.shape}, over {M} rows of memory and {T} steps")
        allowed = np.arange(M + T) <= M + np.arange(T)[:, None]
        same("weights of keys that are not yet", focus[..., ~allowed], 0 * focus[..., ~allowed])
        if (focus < 0).any() or np.abs(focus.sum(-1) - 1).max() > ROUNDING:
            raise Broken(f"weights add up to {focus.sum(-1).min():.7g} at least and {focus.sum(-1).max():.7g} at most")
        same("the mask", (seen[f"blocks.{i}.mask"] == 0), allowed)


@law
def equal_keys_have_equal_weights(draw):
    """A weight depends on what a row is, not on where it stands."""
    spec = draw(SPECS).changed(max_memory=12)
    layers = [(h, c, np.repeat(memory, 4, axis=0)) for h, c, memory in draw(states(spec.config, 1, 1))]
    seen = noted(spec, draw(tokens(draw(st.integers(1, 3)), 1)), layers)
    for i in spec.config.attention_layers:
        four = seen[f"blocks.{i}.attn.focus"][..., :4]
        if (np.abs(four - four[..., :1]) > ROUNDING * four).any():
            raise Broken(f"four equal keys have the weights {four.reshape(-1, 4)[0]}")


@law
def rows_of_memory_are_the_normed_hidden_states_of_their_steps(draw):
    """In order, bit for bit: what `lnmem` gave at a step is what the memory holds of it."""
    spec, batch = draw(SPECS), draw(st.integers(1, 2))
    model, state = model_of(spec.config, spec.parameters()), None
    rows = {i: [] for i in spec.config.attention_layers}
    for segment in draw(token_segments(batch)):
        seen = {}
        _, state = model(torch.from_numpy(segment), state, note=seen.__setitem__)
        for i, kept in rows.items():
            kept += list(seen[f"blocks.{i}.lnmem"].detach().numpy())
            expected = np.stack(kept[-spec.config.max_memory :])
            same(f"block {i}'s rows", state.layers[i].memory.detach().numpy(), expected)


@law
def gradients_stop_at_the_border_of_a_segment(draw):
    """A state carries numbers and no graph: what came before a segment has no part in its gradients."""
    spec, batch = draw(SPECS), draw(st.integers(1, 2))
    first, second = (torch.from_numpy(draw(tokens(draw(st.integers(1, 4)), batch))) for _ in range(2))
    model = model_of(spec.config, spec.parameters())
    _, state = model(first)
    for i, layer in enumerate(state.layers):
        for name, tensor in zip(("h", "c", "memory"), layer.tensors(), strict=True):
            if tensor.requires_grad:
                raise Broken(f"block {i}'s {name} carries the graph of the segment before")
    plain = torch_state([tuple(t.numpy().copy() for t in layer.tensors()) for layer in state.layers])
    gradients = []
    for carried in (state, plain):
        model.zero_grad()
        nll(model(second, carried)[0], second).backward()
        gradients.append({name: p.grad.nan_to_num(0.5).numpy().copy() for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        same(f"the gradient of {name}", gradient, gradients[1][name])


@law
def a_move_to_a_wider_dtype_and_back_changes_nothing(draw):
    """float64 holds all of float32: in the middle of a sequence, going there and back is no change at all."""
    spec = draw(SPECS)
    backend = TorchBackend(spec.config, spec.parameters())
    for segment in draw(token_segments(1)):
        backend.feed(segment)
    state = backend.session.state
    back = state.to(torch.float64).to("cpu").to(torch.float32)
    for i, (ours, theirs) in enumerate(zip(back.layers, state.layers, strict=True)):
        for name, a, b in zip(("h", "c", "memory"), ours.tensors(), theirs.tensors(), strict=True):
            same(f"block {i}'s {name}", a.numpy(), b.numpy())
