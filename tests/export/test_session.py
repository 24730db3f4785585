"""Sessions on onnxruntime: the same numbers as PyTorch, whatever is done between segments and steps."""

import dataclasses

import numpy as np
import pytest
from safetensors.numpy import load_file

from export import ExportError, Session
from export.serving import ring
from sharnn_py import CheckpointError, ConfigError, InputError, TorchSession, save_checkpoint
from sharnn_py.memory import most_keys_of_a_step
from tests.export.conftest import trained_looking

CLOSE = dict(rtol=1e-4, atol=2e-5)
"""Logits here are about 1. Rounding is measured by `export.check`; this tells another computation from the same."""


@pytest.fixture
def onnx(exported):
    return Session.load(exported)


@pytest.fixture
def torch_session(exported):
    return TorchSession.load(exported)


def ids(steps, batch, seed=0):
    return np.random.default_rng(seed).integers(28, size=(steps, batch))


def same_state(a, b, tmp_path):
    a.save_state(tmp_path / "a")
    b.save_state(tmp_path / "b")
    first, second = load_file(tmp_path / "a"), load_file(tmp_path / "b")
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], **CLOSE, err_msg=name)


@pytest.mark.parametrize("batch", [1, 3])
def test_segments_and_steps_in_any_order_are_pytorchs(onnx, torch_session, tmp_path, batch):
    for session in (onnx, torch_session):
        session.reset(batch)
    for number, steps in enumerate([1, 4, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0]):
        if steps:
            tokens = ids(steps, batch, number)
            ours, theirs = onnx.prefill(tokens), torch_session.prefill(tokens)
        else:
            tokens = ids(1, batch, number)[0]
            ours, theirs = onnx.step(tokens), torch_session.step(tokens)
        np.testing.assert_allclose(ours, theirs, **CLOSE)
        assert ours.dtype == np.float32
    same_state(onnx, torch_session, tmp_path)


# What the semantics differ in, the memory's cap and the Boom's width, comes with both.
@pytest.mark.slow
@pytest.mark.parametrize(("config", "changes"), [
    ("julia", dict(heads=1)), ("paper", dict(heads=2, attention_layers=(1,))),
    ("julia", dict(heads=4, attention_layers=(0, 1, 2))), ("paper", dict(tied=False)),
    ("julia", dict(attention_layers=())), ("paper", dict(layers=1, attention_layers=(0,))),
    ("julia", dict(collapsed_values=True)), ("paper", dict(vocab=3)),
    *((semantics, {name: size}) for semantics in ("julia", "paper")
      for name, size in (("max_memory", 1), ("max_memory", 2), ("hidden", 12), ("hidden", 144))),
], indirect=["config"])  # fmt: skip
def test_every_kind_of_model_is_served(export_of, config, tmp_path, changes):
    model, folder = export_of(config, **changes)
    onnx, theirs = Session.load(folder), TorchSession(model)
    for number, steps in enumerate([2, 0, 0, 0, 0, 3, 0, 8, 0]):
        tokens = np.random.default_rng(number).integers(model.config.vocab, size=(max(steps, 1), 1))
        a, b = ((s.prefill(tokens) if steps else s.step(tokens[0])) for s in (onnx, theirs))
        np.testing.assert_allclose(a, b, **CLOSE)
    same_state(onnx, theirs, tmp_path)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_ring_grows_through_its_buckets_and_then_wraps(onnx, torch_session, tmp_path, monkeypatch, batch):
    """6 rows of memory in rings of 1, 3, and the most keys, three times around."""
    monkeypatch.setattr(ring, "BUCKETS", (1, 3))
    sizes = set()
    for session in (onnx, torch_session):
        session.reset(batch)
    for number in range(3 * most_keys_of_a_step(onnx.config)):
        tokens = ids(1, batch, number)[0]
        np.testing.assert_allclose(onnx.step(tokens), torch_session.step(tokens), **CLOSE)
        sizes.add(onnx._state.slots.capacity)
    assert sizes == {1, 3, most_keys_of_a_step(onnx.config)}
    same_state(onnx, torch_session, tmp_path)


def test_more_rows_than_capacity_is_an_error_and_nothing_is_fed(export_of, config, tmp_path):
    model, folder = export_of(config, {"capacity": 3})
    onnx, theirs = Session.load(folder), TorchSession(model)
    for token in (5, 6, 7):
        onnx.step(np.array([token]))
        theirs.step(np.array([token]))
    with pytest.raises(ExportError, match=r"the ring holds 3 rows and this step needs 4.*--capacity [67]"):
        onnx.step(np.array([8]))
    same_state(onnx, theirs, tmp_path)
    np.testing.assert_allclose(onnx.prefill(ids(4, 1)), theirs.prefill(ids(4, 1)), **CLOSE)  # segments have no ring
    with pytest.raises(ExportError, match="the ring holds 3 rows"):
        onnx.step(np.array([8]))
    onnx.reset()
    onnx.step(np.array([8]))


def test_forks_go_their_own_ways(onnx):
    for feed in (lambda s, t: s.prefill(np.array([[t]]))[0], lambda s, t: s.step(np.array([t]))):
        onnx.reset()
        feed(onnx, 3)
        fork, alone = onnx.fork(), onnx.fork()
        ours = [feed(onnx, t) for t in (4, 5, 6)]
        theirs = [feed(fork, t) for t in (7, 8, 9)]
        np.testing.assert_allclose(feed(alone, 4), ours[0], rtol=1e-6, atol=1e-6)
        assert not np.allclose(ours[2], theirs[2], atol=1e-3)
        fork.reset(2)
        assert (onnx.batch, fork.batch) == (1, 2)


def test_a_fork_of_a_wrapped_ring_continues_as_the_original_does(onnx):
    for token in ids(11, 1)[:, 0]:
        onnx.step(np.array([token]))
    fork = onnx.fork()
    for token in (3, 4, 5):
        np.testing.assert_allclose(fork.step(np.array([token])), onnx.step(np.array([token])), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stepwise", [False, True])
def test_a_sequence_moves_between_pytorch_and_onnxruntime_half_way(onnx, torch_session, tmp_path, stepwise):
    def feed(session, tokens):
        if stepwise:
            return np.stack([session.step(row) for row in tokens])
        return session.prefill(tokens)

    for session in (onnx, torch_session):
        session.reset(2)
        feed(session, ids(8, 2, 1))
        session.save_state(tmp_path / type(session).__module__)
    there = feed(torch_session, ids(5, 2, 2))
    onnx.load_state(tmp_path / "sharnn_py.torch_session")
    np.testing.assert_allclose(feed(onnx, ids(5, 2, 2)), there, **CLOSE)
    torch_session.load_state(tmp_path / "export.serving.session")
    np.testing.assert_allclose(feed(torch_session, ids(5, 2, 2)), there, **CLOSE)


def test_a_state_read_and_written_back_changes_nothing(onnx, tmp_path):
    onnx.prefill(ids(4, 1))
    onnx.step(np.array([3]))
    onnx.save_state(tmp_path / "state")
    before = onnx.fork().step(np.array([9]))
    onnx.load_state(tmp_path / "state")
    np.testing.assert_array_equal(onnx.step(np.array([9])), before)


def test_scoring_in_between_leaves_steps_as_they_are(onnx):
    """Only the graph in use is open, but the state between steps keeps the graph that it runs on."""
    alone = onnx.fork()
    for token in (3, 4, 5, 6):
        onnx.score("words")
        np.testing.assert_array_equal(onnx.step(np.array([token])), alone.step(np.array([token])))


BAD_TOKENS = [
    (lambda s: s.step(np.array([29])), "ids run from 29 to 29.*0 to 28"),
    (lambda s: s.step(np.array([-1])), "ids run from -1"),
    (lambda s: s.prefill(np.array([[2], [99]])), "ids run from 2 to 99"),
    (lambda s: s.step(np.array([1, 2])), r"for 2 sequences; this session carries 1; reset\(batch=2\)"),
    (lambda s: s.prefill(np.array([1, 2])), r"shape \(2,\); they must be \(T, B\)"),
    (lambda s: s.prefill(np.zeros((0, 1), np.int64)), "at least 1"),
    (lambda s: s.step(np.array([1.0])), "float64; they must be whole numbers"),
    (lambda s: s.reset(0), "batch is 0"),
    (lambda s: s.generate("a!", 3), r"byte 33 \(b'!'\) at offset 1 .* not in the vocabulary"),
    (lambda s: s.generate("a", -1), "n is -1"),
    (lambda s: s.generate("a", 3, temperature=-1.0), "temperature is -1.0"),
    (lambda s: s.score(""), "the text is empty"),
    (lambda s: s.score("a", segment=0), "segment is 0"),
]


@pytest.mark.parametrize("load", [Session.load, TorchSession.load])
@pytest.mark.parametrize(("call", "message"), BAD_TOKENS)
def test_bad_input_is_told_and_leaves_the_session_as_it_was(exported, load, call, message):
    session = load(exported)
    session.prefill(ids(3, 1))
    expected = session.fork().step(np.array([5]))
    with pytest.raises((InputError, ConfigError), match=message):
        call(session)
    np.testing.assert_allclose(session.step(np.array([5])), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("load", [Session.load, TorchSession.load])
@pytest.mark.parametrize("changes", [dict(layers=2, attention_layers=(0,)), dict(emb=24), dict(attention_layers=(1,))])
def test_a_state_of_another_model_is_refused_and_the_session_continues(exported, load, config, changes, tmp_path):
    session = load(exported)
    other = TorchSession(trained_looking(dataclasses.replace(config, **{"hidden": 72, **changes})))
    other.prefill(ids(3, 1))
    other.state.save(tmp_path / "other")
    session.prefill(ids(3, 1))
    expected = session.fork().step(np.array([5]))
    with pytest.raises(InputError, match=r"the state has 2 layers|state's h has shape|layer 1: the state has|layer 0"):
        session.load_state(tmp_path / "other", unidentified=True)
    (tmp_path / "other").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match="cannot be read as a saved state"):
        session.load_state(tmp_path / "other")
    np.testing.assert_allclose(session.step(np.array([5])), expected, rtol=1e-6, atol=1e-6)


def test_a_memory_longer_than_the_models_is_refused(onnx, config):
    h, rows = np.zeros((1, config.emb)), np.zeros((config.max_memory + 1, 1, config.emb))
    layers = [(h, h, rows if config.attends(i) else rows[:0]) for i in range(config.layers)]
    with pytest.raises(InputError, match="7 memory rows; this model keeps at most 6"):
        onnx.set_state(layers)


def test_the_same_seed_generates_the_same_text_on_both_back_ends(onnx, torch_session):
    def text(session, seed):
        return "".join(session.fork().generate("some words", 40, seed=seed))

    assert text(onnx, 1) == text(torch_session, 1)
    assert text(onnx, 1) == text(onnx, 1) != text(onnx, 2)


def test_both_back_ends_find_the_same_text_as_likely(onnx, torch_session):
    text = "a line of words\nand another"
    ours, theirs = (session.score(text, segment=5) for session in (onnx, torch_session))
    assert ours.nats == pytest.approx(theirs.nats, rel=1e-5)
    assert (ours.tokens, ours.bytes) == (theirs.tokens, theirs.bytes) == (27, 27)


def test_int8_steps_are_near_and_sequences_do_not_affect_each_other(exported):
    exact, int8 = Session.load(exported), Session.load(exported, precision="int8")
    exact.reset(3)
    int8.reset(3)
    alone = int8.fork()
    alone.reset(1)
    for number in range(9):
        tokens = ids(1, 3, number)[0]
        ours, near = exact.step(tokens), int8.step(tokens)
        assert not np.allclose(ours, near, **CLOSE)
        np.testing.assert_allclose(near, ours, atol=0.2 * np.sqrt((ours**2).mean()))
        np.testing.assert_allclose(alone.step(tokens[1:2])[0], near[1], rtol=1e-5, atol=1e-5)


def test_asking_for_int8_that_was_not_exported_is_an_error(export_of, config):
    _, folder = export_of(config)
    with pytest.raises(ExportError, match="has no int8 step; export the model with --int8"):
        Session.load(folder, precision="int8")


def test_serving_loads_neither_torch_nor_onnx(exported):
    from tests.sharnn_py.test_startup import loaded

    code = (
        "import numpy as np\nfrom export import Session\n"
        f"s = Session.load({str(exported)!r})\ns.prefill(np.array([[2]]))\n"
        "list(s.generate('ab', 3)); s.score('ab'); s.fork()"
    )
    assert loaded(code, "torch", "onnx", "onnxruntime") == "['onnxruntime']"


def test_a_model_without_a_vocabulary_is_fed_ids_but_no_text(config, tmp_path):
    from export import export_checkpoint

    save_checkpoint(trained_looking(config), tmp_path / "checkpoint")
    export_checkpoint(tmp_path / "checkpoint", tmp_path / "export")
    session = Session.load(tmp_path / "export")
    session.step(np.array([3]))
    with pytest.raises(InputError, match="no vocabulary"):
        session.score("a")
