"""Sequences that come and go on one engine are what sessions of their own are. The laws drive it at random."""

import numpy as np
import pytest

from export import Engine, ExportError, Session
from export.serving import ring, seats
from sharnn_py import CheckpointError, ConfigError, InputError, TorchSession
from tests.export.conftest import WORDS

CLOSE = dict(rtol=1e-4, atol=2e-5)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(ring, "BUCKETS", (1, 3))
    monkeypatch.setattr(seats, "PATIENCE", 2)


@pytest.fixture
def engine(exported):
    return Engine.load(exported, slots=3, threads=1)


@pytest.fixture
def session(exported):
    return Session.load(exported, threads=1)


def ids(steps, seed=0):
    return np.random.default_rng(seed).integers(len(WORDS) - 1, size=steps)


class Pairs:
    """An engine's sequences, each beside a session of its own that is fed the same."""

    def __init__(self, engine, session):
        self.engine, self.session, self.alone = engine, session, {}

    def open(self):
        number = self.engine.open()
        self.alone[number] = self.session.fork()
        self.alone[number].reset()
        return number

    def step(self, *numbers):
        tokens = {number: int(ids(1, number)[0]) for number in numbers}
        for number, logits in self.engine.step(tokens).items():
            np.testing.assert_allclose(logits, self.alone[number].step(np.array([tokens[number]]))[0], **CLOSE)

    def feed(self, number, steps, part=None):
        tokens = ids(steps, number)
        parts = [self.engine.feed(number, tokens)] if part is None else self.engine.feed_in_parts(number, tokens, part)
        np.testing.assert_allclose(
            np.concatenate(list(parts)), self.alone[number].prefill(tokens[:, None])[:, 0], **CLOSE
        )

    def same_states(self):
        for number, alone in self.alone.items():
            for ours, theirs in zip(self.engine.state(number), alone.state(), strict=True):
                for a, b in zip(ours, theirs, strict=True):
                    np.testing.assert_allclose(a, b, **CLOSE)


@pytest.fixture
def pairs(engine, session):
    return Pairs(engine, session)


def test_sequences_of_any_age_step_together(pairs):
    a = pairs.open()
    for _ in range(9):
        pairs.step(a)
    b, c = pairs.open(), pairs.open()
    pairs.feed(b, 4)
    for due in ((a, b, c), (b, c), (b, c), (c,), (c,), (c,), (c,), (a, c), (a, b), (b,), (a, b, c)):
        pairs.step(*due)
    pairs.same_states()


def test_who_is_not_due_keeps_its_state_bit_for_bit(engine):
    """Also of a ring that is full, whose next row would overwrite the oldest."""
    numbers = [engine.open() for _ in range(3)]
    for steps in range(9):
        engine.step(dict.fromkeys(numbers, 3 + steps))
    before = engine.state(numbers[1])
    engine.step({numbers[0]: 3, numbers[2]: 4})
    assert engine._sequences[numbers[1]].resident.seat == 1  # it was computed with the others
    for old, new in zip(before, engine.state(numbers[1]), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))


def test_no_state_is_copied_for_a_step(engine, monkeypatch):
    numbers = [engine.open() for _ in range(3)]
    for _ in range(4):
        engine.step(dict.fromkeys(numbers, 3))  # until the rings are as large as they become
    while engine._seats._capacity < ring.slots_needed(engine.config, 99, 99):
        engine.step(dict.fromkeys(numbers, 3))
    monkeypatch.setattr(engine._graphs, "moving", lambda graph: pytest.fail("a state was moved"))
    monkeypatch.setattr(seats, "PATIENCE", 100)
    for due in (numbers, numbers[1:], numbers[:1], numbers[::2], numbers):
        engine.step(dict.fromkeys(due, 4))


def test_whoever_is_last_moves_to_a_seat_that_stays_empty(pairs):
    a, b, c = (pairs.open() for _ in range(3))
    pairs.step(a, b, c)
    pairs.engine.close(a)
    del pairs.alone[a]
    for _ in range(5):
        pairs.step(b, c)
    assert {pairs.engine._sequences[number].resident.seat for number in (b, c)} == {0, 1}
    pairs.same_states()


def test_rings_become_smaller_when_the_longest_memory_has_left(pairs):
    long, short = pairs.open(), pairs.open()
    for _ in range(4):
        pairs.step(long)
    pairs.step(long, short)
    most = pairs.engine._seats._capacity
    for _ in range(2):
        pairs.step(short)
    assert pairs.engine._seats._capacity == 3 < most
    pairs.step(long, short)
    assert pairs.engine._seats._capacity == most
    pairs.same_states()


def test_sequences_above_the_slots_are_in_files_and_come_back_unasked(pairs, tmp_path, exported, session):
    engine = Engine.load(exported, slots=2, threads=1, evicted=tmp_path)
    pairs = Pairs(engine, session)
    numbers = [pairs.open() for _ in range(5)]
    for number in numbers:
        pairs.step(number)
        pairs.feed(number, 3)
        pairs.step(number)
    (folder,) = tmp_path.iterdir()
    files = {file.name for file in folder.iterdir()} - {"lock"}
    assert files == {f"{number}.safetensors" for number in numbers[:3]}  # those not used for longest
    assert engine.in_memory == 2
    pairs.step(numbers[0], numbers[3])
    pairs.same_states()
    for number in numbers:
        engine.close(number)
    assert [file.name for file in folder.iterdir()] == ["lock"]
    del engine, pairs.engine
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_loses_no_sequence(pairs, monkeypatch):
    numbers = [pairs.open() for _ in range(3)]
    pairs.step(*numbers)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("export.serving.engine.write_state", full)
        with pytest.raises(
            ExportError, match=r"cannot be moved to .* \(No space left on device\), to make room in memory"
        ):
            pairs.engine.open()
    pairs.step(*numbers)
    pairs.same_states()


def test_a_segment_in_parts_is_the_segment(pairs):
    """Its mask and its scale are those of the whole, whatever the others do meanwhile."""
    a, b = pairs.open(), pairs.open()
    for steps, part in ((4, 1), (5, 2), (1, 1), (3, 2), (13, 4), (6, 5)):
        tokens = ids(steps, steps)
        found = []
        for logits in pairs.engine.feed_in_parts(a, tokens, part):
            found.append(logits)
            pairs.step(b)
        whole = pairs.alone[a].prefill(tokens[:, None])[:, 0]
        np.testing.assert_allclose(np.concatenate(found), whole, **CLOSE)
    pairs.same_states()


def test_a_sequence_that_is_changed_while_it_is_fed_says_so(engine):
    number = engine.open()
    parts = engine.feed_in_parts(number, ids(4), 1)
    next(parts)
    engine.evict(number)
    next(parts)  # that is no change
    engine.step({number: 3})
    with pytest.raises(InputError, match=f"sequence {number} was closed or changed while it was fed"):
        next(parts)


def test_a_fork_shares_what_was_and_nothing_that_comes(pairs):
    a = pairs.open()
    pairs.feed(a, 3)
    for step in range(3):
        b = pairs.engine.fork(a)
        pairs.alone[b] = pairs.alone[a].fork()
        pairs.step(a, b)
        pairs.step(b if step % 2 else a)
        pairs.engine.close(b)
        del pairs.alone[b]
    pairs.same_states()


def test_a_state_moves_between_engines_sessions_and_pytorch(engine, exported, tmp_path):
    theirs = TorchSession.load(exported)
    list(theirs.generate("words", 12, seed=4))
    theirs.save_state(tmp_path / "a")
    number = engine.open(tmp_path / "a")
    other = engine.open()
    engine.load_state(other, tmp_path / "a")
    assert np.array_equal(engine.continuation(number).logits, engine.continuation(other).logits)
    engine.save_state(other, tmp_path / "b")
    session = Session.load(exported, threads=1)
    session.load_state(tmp_path / "b")
    assert list(session.generate("", 20)) == list(theirs.generate("", 20))


def test_a_ring_continues_where_it_was(engine, session, tmp_path):
    """The slot that comes next is saved, as of a session, so that the same rows are added up in the same order."""
    number = engine.open()
    for token in ids(11):
        engine.step({number: int(token)})
    engine.save_state(number, tmp_path / "state")
    found = [engine.step({number: 5})[number]]
    engine.load_state(number, tmp_path / "state")
    found.append(engine.step({number: 5})[number])
    assert np.array_equal(*found)


@pytest.mark.parametrize(("call", "message"), [
    (lambda e, n: e.step({}), "a step is asked for of 0 sequences; it is of at least 1 and, with 3 slots, of at"),
    (lambda e, n: e.step({n: 1, 8: 1, 9: 1, 10: 1}), "a step is asked for of 4 sequences"),
    (lambda e, n: e.step({n: 1, 99: 1}), "there is no sequence 99; it was closed, or never opened by this engine"),
    (lambda e, n: e.step({n: 400}), "token ids run from 400 to 400"),
    (lambda e, n: e.step({n: 0.5}), "tokens are float64; they must be whole numbers"),
    (lambda e, n: e.feed(n, []), r"tokens have shape \(0,\); they must be \(T,\), at least 1"),
    (lambda e, n: e.feed(n, [[1]]), r"tokens have shape \(1, 1\)"),
    (lambda e, n: e.feed(n, [-1]), "token ids run from -1 to -1"),
    (lambda e, n: e.feed(99, [1]), "there is no sequence 99"),
    (lambda e, n: e.fork("a"), "there is no sequence 'a'"),
    (lambda e, n: e.close(99), "there is no sequence 99"),
])  # fmt: skip
def test_wrong_input_is_said_in_a_sentence_and_changes_nothing(engine, call, message):
    number = engine.open()
    engine.step({number: 3})
    before = engine.state(number)
    with pytest.raises(InputError, match=message):
        call(engine, number)
    assert all(np.array_equal(a, b) for x, y in zip(before, engine.state(number), strict=True)
               for a, b in zip(x, y, strict=True))  # fmt: skip


def test_states_that_are_not_one_of_this_model_are_refused(engine, session, export_of, config, tmp_path):
    session.reset(2)
    session.step(np.array([3, 4]))
    session.save_state(tmp_path / "two")
    with pytest.raises(InputError, match="two has 2 sequences; an engine's are opened one by one"):
        engine.open(tmp_path / "two")
    other = Session.load(export_of(config, max_memory=5)[1])
    other.step(np.array([3]))
    other.save_state(tmp_path / "other")
    with pytest.raises(InputError, match="is a state of another model"):
        engine.open(tmp_path / "other")
    with pytest.raises(CheckpointError, match="cannot be read as a saved state"):
        engine.open(tmp_path / "nothing")
    assert engine.sequences == ()


def test_settings_out_of_range_are_said(exported, tmp_path):
    with pytest.raises(ConfigError, match="slots is 0; it must be a whole number of at least 1"):
        Engine.load(exported, slots=0)
    with pytest.raises(ConfigError, match="cuda_graph is True and the provider is cpu"):
        Engine.load(exported, cuda_graph=True)
    with pytest.raises(ExportError, match="a folder for evicted sequences cannot be made"):
        Engine.load(exported, evicted=tmp_path / "none")


def test_a_step_that_the_export_has_no_room_for_feeds_nothing(export_of, config):
    engine = Engine.load(export_of(config, {"capacity": 3})[1], slots=2)
    a, b = engine.open(), engine.open()
    for token in (5, 6, 7):
        engine.step({a: token})
    engine.step({b: 3})
    before = engine.state(b)
    with pytest.raises(ExportError, match="the ring holds 3 rows and this step needs 4"):
        engine.step({a: 8, b: 8})
    assert np.array_equal(before[0][0], engine.state(b)[0][0])
    with pytest.raises(ExportError, match="the ring holds 3 rows"):
        engine.check_step(a)
    engine.check_step(b)


@pytest.mark.parametrize("changes", [dict(attention_layers=()), dict(heads=1), dict(tied=False, max_memory=1)])
@pytest.mark.parametrize("options", [{}, {"precision": "float16"}, {"int8": True}, {"weights": "int8"}])
@pytest.mark.slow
def test_every_kind_of_model_is_served(export_of, config, options, changes):
    _, folder = export_of(config, options, **changes)
    precision = "int8" if "int8" in options else "exported"
    engine = Engine.load(folder, precision=precision, slots=3, threads=1)
    session = Session.load(folder, precision=precision, threads=1)
    numbers, alone, draw = [], [], np.random.default_rng(0)
    for _ in range(3):
        numbers.append(engine.open())
        alone.append(session.fork())
        alone[-1].reset()
        for steps in (2, 0, 0, 0):
            if steps:
                tokens = draw.integers(28, size=steps)
                found, theirs = engine.feed(numbers[-1], tokens), alone[-1].prefill(tokens[:, None])[:, 0]
            else:
                tokens = draw.integers(28, size=len(numbers))
                found = np.stack(list(engine.step(dict(zip(numbers, tokens.tolist(), strict=True))).values()))
                theirs = np.stack([s.step(t[None])[0] for s, t in zip(alone, tokens, strict=True)])
            np.testing.assert_allclose(found, theirs, rtol=0, atol=(0.02 if options else 1e-4) * np.abs(theirs).max())


def test_threads_share_an_engine(engine):
    from concurrent.futures import ThreadPoolExecutor

    numbers = [engine.open() for _ in range(5)]

    def text(number):
        return [int(engine.step({number: 3 + k})[number].argmax()) for k in range(10)]

    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(text, numbers))
    assert found == [found[0]] * 5
