"""The laws of memory and carryover. Each is a function that draws a case, feeds it to a back end, and raises `Broken`.

The first sentence of a law says why it holds. `LAWS` has them all by name, `ANY_MODEL` those that are not of SHA-RNN.
"""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from parity.laws.backend import Array, Backend, Layers
from parity.laws.oracle import Broken, Expected, check
from parity.laws.strategies import VOCAB, states, token_segments, tokens
from parity.laws.target import Draw, LawTarget

Law = Callable[[LawTarget, Draw], None]
LAWS: dict[str, Law] = {}
"""Every law by its name."""
ANY_MODEL: dict[str, Law] = {}
"""The laws that hold of any model with a state, whatever it computes, by name."""


def sharnn_law(function: Law) -> Law:
    """Enter a law that holds of SHA-RNN into `LAWS`."""
    LAWS[function.__name__] = function
    return function


def law(function: Law) -> Law:
    """Enter a law that holds of any model with a state into `LAWS` and `ANY_MODEL`."""
    ANY_MODEL[function.__name__] = function
    return sharnn_law(function)


@law
def every_segment_is_the_plain_models(target: LawTarget, draw: Draw) -> None:
    """However a sequence is cut into segments, logits and carried state are what the equations give."""
    spec, batch = target.spec(draw), draw(st.integers(1, 3))
    backend, oracle = target.begin(spec, batch), target.oracle(spec, batch)
    for segment in draw(token_segments(batch)):
        check("logits", backend.feed(segment), oracle.feed(segment, backend.steps_only), backend.dtype)
        oracle.check_state(backend.read(), backend.dtype)


@sharnn_law
def the_future_depends_on_the_state_alone(target: LawTarget, draw: Draw) -> None:
    """A state is all that the future depends on: whatever it holds, the next segment follows from it."""
    spec, batch = target.spec(draw), draw(st.integers(1, 3))
    layers = draw(states(spec.config, batch))
    backend, oracle = target.begin(spec, batch, layers), target.oracle(spec, batch, layers)
    for segment in draw(token_segments(batch, most=2)):
        check("logits", backend.feed(segment), oracle.feed(segment, backend.steps_only), backend.dtype)
        oracle.check_state(backend.read(), backend.dtype)


@law
def splitting_changes_nothing(target: LawTarget, draw: Draw) -> None:
    """Carryover: x then y is x+y at once, as long as no row is cut and the scale is the paper's, without T."""
    if not target.splits:
        return _differs_by_the_scale_alone(target, draw)
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    segments = draw(token_segments(batch, most=4, steps=3))
    whole = np.concatenate(segments)
    spec = target.without_cuts(spec, len(whole))
    backend, oracle = target.begin(spec, batch), target.oracle(spec, batch)
    expected = oracle.feed(whole)
    found = np.concatenate([backend.feed(segment) for segment in segments])
    check("logits of all segments", found, expected, backend.dtype)
    oracle.check_state(backend.read(), backend.dtype)


def _differs_by_the_scale_alone(target: LawTarget, draw: Draw) -> None:
    """Where the scale depends on T, whole and split differ, and by just what the plain model gives."""
    spec, batch = target.spec(draw), 1
    segments = draw(token_segments(batch, most=3, steps=3))
    for fed in (segments, [np.concatenate(segments)]):
        backend, oracle = target.begin(spec, batch), target.oracle(spec, batch)
        for segment in fed:
            check("logits", backend.feed(segment), oracle.feed(segment, backend.steps_only), backend.dtype)


@sharnn_law
def no_state_is_zeros_and_no_rows(target: LawTarget, draw: Draw) -> None:
    """Zero h and c with a memory of no rows are the same as no state at all."""
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    segment = draw(tokens(draw(st.integers(1, 4)), batch))
    zero = np.zeros((batch, spec.config.emb), np.float32)
    backend = target.begin(spec, batch)
    fresh = backend.feed(segment)
    zeros = [(zero, zero, np.zeros((0, batch, spec.config.emb), np.float32))] * spec.config.layers
    right = target.oracle(spec, batch).feed(segment, backend.steps_only)
    again("logits from zeros", target.begin(spec, batch, zeros).feed(segment), fresh, backend, right)


@law
def a_reset_forgets_everything(target: LawTarget, draw: Draw) -> None:
    """What was fed before a reset has no effect after it, whatever the batch was."""
    spec, batch = target.spec(draw), draw(st.integers(1, 3))
    segment = draw(tokens(draw(st.integers(1, 4)), batch))
    backend = target.begin(spec, batch)
    fresh = backend.feed(segment)
    before = draw(st.integers(1, 3))
    backend.start(before)
    for other in draw(token_segments(before, most=2)):
        backend.feed(other)
    backend.start(batch)
    right = target.oracle(spec, batch).feed(segment, backend.steps_only)
    again("logits after a reset", backend.feed(segment), fresh, backend, right)


@sharnn_law
def the_state_after_a_segment_is_that_of_its_last_step(target: LawTarget, draw: Draw) -> None:
    """h and c are the last step's, and nothing of a segment comes after it: its last step may be a segment itself.

    In the first block this holds for any scale, as no attention comes before it.
    """
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    segment = draw(tokens(draw(st.integers(2, 6)), batch))
    backend = target.begin(spec, batch)
    backend.feed(segment)
    whole = backend.read()[0]
    backend.start(batch)
    backend.feed(segment[:-1])
    backend.feed(segment[-1:])
    oracle = target.oracle(spec, batch)
    oracle.feed(segment)
    for part, name in enumerate(("h", "c")):
        expected = oracle.state()[0][part]
        check(f"block 0's {name} of the whole", whole[part], expected, backend.dtype)
        check(f"block 0's {name} of its last step", backend.read()[0][part], expected, backend.dtype)


@law
def reading_changes_nothing(target: LawTarget, draw: Draw) -> None:
    """Reading a state has no effect on what follows, and what was read stays as it was read."""
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    first, second = (draw(tokens(draw(st.integers(1, 4)), batch)) for _ in range(2))
    backend, found = target.begin(spec, batch), []
    for reads in (0, 2):
        backend.start(batch)
        backend.feed(first)
        read = [backend.read() for _ in range(reads)]
        kept = [[tuple(array.copy() for array in layer) for layer in layers] for layers in read]
        found.append(backend.feed(second))
        for layers, copy in zip(read, kept, strict=True):
            same_layers("read twice", layers, read[0], backend.parts)
            same_layers("read before", layers, copy, backend.parts)
    oracle = target.oracle(spec, batch)
    oracle.feed(first, backend.steps_only)
    again("logits after reading", found[1], found[0], backend, oracle.feed(second, backend.steps_only))


@sharnn_law
def memory_is_as_long_as_the_rule_says(target: LawTarget, draw: Draw) -> None:
    """A block that attends keeps the last N rows of all it has been fed, every other block none."""
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    backend, fed = target.begin(spec, batch), 0
    for segment in draw(token_segments(batch)):
        backend.feed(segment)
        fed += len(segment)
        for i, (h, c, memory) in enumerate(backend.read()):
            rows = min(fed, spec.config.max_memory) if spec.config.attends(i) else 0
            expected = ((batch, spec.config.emb), (batch, spec.config.emb), (rows, batch, spec.config.emb))
            if (h.shape, c.shape, memory.shape) != expected:
                raise Broken(f"block {i}'s state has shapes {(h.shape, c.shape, memory.shape)}, not {expected}")


@sharnn_law
def rows_are_normed_once(target: LawTarget, draw: Draw) -> None:
    """A row is computed once: from then on it is the same, bit for bit, until it is the oldest and leaves first."""
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    layers = draw(states(spec.config, batch))
    backend = target.begin(spec, batch, layers)
    for segment in draw(token_segments(batch, most=3, steps=4)):
        before = backend.read()
        backend.feed(segment)
        for i, (old, new) in enumerate(zip(before, backend.read(), strict=True)):
            if spec.config.attends(i):
                stay = max(0, min(len(old[2]), spec.config.max_memory - len(segment)))
                same(f"block {i}'s rows that stay", new[2][:stay], old[2][len(old[2]) - stay :])


@sharnn_law
def only_rows_within_the_rule_have_an_effect(target: LawTarget, draw: Draw) -> None:
    """The keys seen are those of the rule, no more and no fewer: a row that was cut has no effect, any other has."""
    spec = target.spec(draw)
    attending = spec.config.attention_layers
    if not attending:
        return
    layers = draw(states(spec.config, 1, draw(st.integers(1, spec.config.max_memory))))
    segment = draw(tokens(draw(st.integers(1, 5)), 1))
    block, row = draw(st.sampled_from(attending)), draw(st.integers(0, len(layers[attending[0]][2]) - 1))
    moved = [(h, c, memory.copy()) for h, c, memory in layers]
    moved[block][2][row] = -2 * moved[block][2][row]
    backend = target.begin(spec, 1, layers)
    plain = backend.feed(segment)
    backend.start(1)
    backend.write(moved)
    changed = backend.feed(segment)
    oracle, oracle_of_moved = target.oracle(spec, 1, layers), target.oracle(spec, 1, moved)
    steps_only = backend.steps_only
    expected, expected_changed = oracle.feed(segment, steps_only), oracle_of_moved.feed(segment, steps_only)
    if np.array_equal(expected.value, expected_changed.value) and backend.repeats:
        same(f"logits after a change to row {row} of block {block}, which was cut,", changed, plain)
    check("logits", plain, expected, backend.dtype)
    check(f"logits after a change to row {row} of block {block}", changed, expected_changed, backend.dtype)


@law
def what_comes_later_changes_nothing_before(target: LawTarget, draw: Draw) -> None:
    """Causality: another id at step t leaves every logit before t as it was; in PyTorch bit for bit."""
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    segment = draw(tokens(draw(st.integers(2, 6)), batch))
    layers = target.state(draw, spec, batch)
    t, b = draw(st.integers(1, len(segment) - 1)), draw(st.integers(0, batch - 1))
    other = segment.copy()
    other[t, b] = (other[t, b] + draw(st.integers(1, VOCAB - 1))) % VOCAB
    found, states_after = [], []
    for fed in (segment, other):
        backend, oracle = target.begin(spec, batch, layers), target.oracle(spec, batch, layers)
        found.append(backend.feed(fed))
        states_after.append(backend.read())
        if not backend.repeats:
            check("logits", found[-1], oracle.feed(fed, backend.steps_only), backend.dtype)
            oracle.check_state(states_after[-1], backend.dtype)
    if not backend.repeats:
        return
    same(f"logits before step {t}, of which sequence {b} changed", found[1][:t], found[0][:t])
    others = [k for k in range(batch) if k != b]
    same("logits of the other sequences", found[1][:, others], found[0][:, others])
    old, new = states_after
    same_layers("of the other sequences", backend.pick(new, others), backend.pick(old, others), backend.parts)
    for part, name in enumerate(backend.parts):
        for i, (before, after) in enumerate(zip(old, new, strict=True)):
            rows = len(before[part]) - (len(segment) - t)  # the rows of the steps from t on are the last
            if name == "memory" and rows > 0:
                same(f"block {i}'s rows of the steps before {t}", after[part][:rows], before[part][:rows])


@law
def sequences_of_a_batch_do_not_see_each_other(target: LawTarget, draw: Draw) -> None:
    """A batch is only a way to compute: every sequence in it is what it is alone."""
    spec, batch = target.spec(draw), draw(st.integers(2, 3))
    layers = target.state(draw, spec, batch)
    segment = draw(tokens(draw(st.integers(1, 5)), batch))
    together = target.begin(spec, batch, layers)
    logits = together.feed(segment)
    state = together.read()
    b = draw(st.integers(0, batch - 1))
    mine = None if layers is None else together.pick(layers, [b])
    alone, oracle = target.begin(spec, 1, mine), target.oracle(spec, 1, mine)
    expected = oracle.feed(segment[:, [b]], alone.steps_only)
    check("logits alone", alone.feed(segment[:, [b]]), expected, alone.dtype)
    check(f"logits of sequence {b}", logits[:, [b]], expected, alone.dtype)
    oracle.check_state(alone.read(), alone.dtype)
    oracle.check_state(alone.pick(state, [b]), alone.dtype)


@law
def reordering_commutes_with_everything(target: LawTarget, draw: Draw) -> None:
    """Sequences may be exchanged, dropped or doubled, before a segment or after it, with the same result."""
    spec, batch = target.spec(draw), draw(st.integers(1, 3))
    first = draw(token_segments(batch, most=2))
    second = draw(tokens(draw(st.integers(1, 4)), batch))
    rows = draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=4))
    backend, oracle = target.begin(spec, batch), target.oracle(spec, batch)
    for segment in first:
        backend.feed(segment)
        oracle.feed(segment, backend.steps_only)
    backend.reorder(rows)
    oracle = oracle.reordered(rows)
    oracle.check_state(backend.read(), backend.dtype)
    fed = second[:, rows]
    check("logits after reordering", backend.feed(fed), oracle.feed(fed, backend.steps_only), backend.dtype)
    oracle.check_state(backend.read(), backend.dtype)


@sharnn_law
def the_order_of_the_rows_does_not_matter(target: LawTarget, draw: Draw) -> None:
    """Attention has no positions: memory rows in another order give the same, as long as none is cut."""
    spec = target.spec(draw)
    rows = draw(st.integers(2, 5))
    spec = spec.changed(max_memory=rows + 6)  # none of them is cut
    layers = draw(states(spec.config, 1, rows))
    order = draw(st.permutations(range(rows)))
    segment = draw(tokens(draw(st.integers(1, 4)), 1))
    moved = [(h, c, memory[list(order)] if len(memory) else memory) for h, c, memory in layers]
    backend = target.begin(spec, 1, moved)
    expected = target.oracle(spec, 1, layers).feed(segment, backend.steps_only)
    check("logits with the rows in another order", backend.feed(segment), expected, backend.dtype)


@sharnn_law
def equal_rows_have_equal_weights(target: LawTarget, draw: Draw) -> None:
    """Equal keys have equal weights, and all weights add up to 1, however often a row is in the memory."""
    spec = target.spec(draw)
    copies = draw(st.integers(1, 5))
    spec = spec.changed(max_memory=16)
    layers = [(h, c, np.repeat(memory, copies, axis=0)) for h, c, memory in draw(states(spec.config, 1, 1))]
    segment = draw(tokens(draw(st.integers(1, 3)), 1))
    backend, oracle = target.begin(spec, 1, layers), target.oracle(spec, 1, layers)
    check("logits over equal rows", backend.feed(segment), oracle.feed(segment, backend.steps_only), backend.dtype)


@sharnn_law
def a_ring_may_wrap_any_number_of_times(target: LawTarget, draw: Draw) -> None:
    """Far beyond its memory a sequence fed step by step is still what the rule says."""
    spec = target.spec(draw).changed(max_memory=draw(st.integers(1, 4)))
    ids = draw(tokens(draw(st.integers(10, 20)), 1))
    backend, oracle = target.begin(spec), target.oracle(spec)
    for step in ids[:, None]:
        check("logits of a step", backend.feed(step), oracle.feed(step), backend.dtype)
    oracle.check_state(backend.read(), backend.dtype)


@law
def forks_go_their_own_ways(target: LawTarget, draw: Draw) -> None:
    """A fork is as good as a second run: what is fed to one has no effect on the other."""
    spec, batch = target.spec(draw), draw(st.integers(1, 2))
    backend, oracle = target.begin(spec, batch), target.oracle(spec, batch)
    for segment in draw(token_segments(batch, most=2, steps=4)):
        backend.feed(segment)
        oracle.feed(segment, backend.steps_only)
    pairs = [(backend, oracle), (backend.fork(), oracle.fork())]
    for turn in draw(st.lists(st.integers(0, 1), min_size=1, max_size=4)):
        one, own = pairs[turn]
        segment = draw(tokens(draw(st.integers(1, 3)), batch))
        check(f"logits of {('the first', 'the fork')[turn]}", one.feed(segment), own.feed(segment, one.steps_only),
              one.dtype)  # fmt: skip
    for one, own in pairs:
        own.check_state(one.read(), one.dtype)


@law
def saving_and_loading_changes_nothing(target: LawTarget, draw: Draw) -> None:
    """A state that was saved and loaded continues, bit for bit, as one that was not."""
    spec, batch = target.spec(draw), draw(st.integers(1, 3))
    backend = target.begin(spec, batch)
    for segment in draw(token_segments(batch, most=2)):
        backend.feed(segment)
    alone, second = backend.fork(), draw(tokens(draw(st.integers(1, 3)), batch))
    with tempfile.TemporaryDirectory() as folder:
        backend.save(Path(folder) / "state")
        backend.start(draw(st.integers(1, 3)))
        backend.load(Path(folder) / "state")
    same_layers("from a file", backend.read(), alone.read(), backend.parts)
    oracle = target.oracle(spec, batch, alone.read())
    expected = oracle.feed(second, backend.steps_only)
    check("logits after loading", backend.feed(second), expected, backend.dtype)
    check("logits without", alone.feed(second), expected, backend.dtype)


def same(what: str, found: Array, expected: Array) -> None:
    """Raise `Broken` unless both are the same, bit for bit."""
    if found.shape != expected.shape:
        raise Broken(f"{what} have shape {found.shape}; it should be {expected.shape}")
    wrong = np.argwhere(found != expected)
    if len(wrong):
        at = tuple(int(k) for k in wrong[0])
        raise Broken(f"{what} at {list(at)} are {found[at]:.9g}; it should be {expected[at]:.9g}, bit for bit")


def again(what: str, found: Array, expected: Array, backend: Backend, right: Expected) -> None:
    """Raise `Broken` unless both are the same, bit for bit; if the back end does not repeat, unless both are right."""
    if backend.repeats:
        same(what, found, expected)
    else:
        check(what, found, right, backend.dtype)
        check(f"{what} before", expected, right, backend.dtype)


def same_layers(what: str, found: Layers, expected: Layers, parts: Iterable[str]) -> None:
    """Raise `Broken` unless both states, whose arrays have these names, are the same, bit for bit."""
    for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        for name, a, b in zip(parts, ours, theirs, strict=True):
            same(f"block {i}'s {name} {what}", a, b)
