"""A saved state says what it is of, and a text goes on from it as if it had never been stopped."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from export import Session
from sharnn_py import CheckpointError, InputError, State, TorchSession, Vocabulary, save_checkpoint
from sharnn_py.identity import identity
from tests.export.conftest import SIZES, WORDS, trained_looking

BACK_ENDS = [Session.load, TorchSession.load]
UTF8 = ["<s>", "<unk>", *(str(byte) for byte in range(256) if byte != 10)]
"""A vocabulary whose ids make characters of several bytes."""


@pytest.fixture(scope="module")
def utf8(tmp_path_factory, config):
    """An export of a model that likes to write two characters, of three and two bytes."""
    from export import export_checkpoint

    folder = tmp_path_factory.mktemp("utf8")
    model = trained_looking(dataclasses.replace(config, vocab=len(UTF8), tied=False))
    with torch.no_grad():
        model.decoder.bias[[UTF8.index(str(byte)) for byte in "€ß".encode()]] += 9
    save_checkpoint(model, folder / "checkpoint", Vocabulary(UTF8))
    export_checkpoint(folder / "checkpoint", folder / "export")
    return folder / "export"


def state_of(session, path):
    session.save_state(path)
    return path


@pytest.mark.parametrize("load", BACK_ENDS)
def test_27_and_27_tokens_are_54_tokens(exported, load, tmp_path):
    """The ring of 6 or 7 slots has wrapped, and stands at another slot than its first: 32 is a multiple of neither."""
    whole, first, second = load(exported), load(exported), load(exported)
    text = "".join(whole.generate("words", 54, temperature=0.9, top_p=0.95, seed=3))
    begun = "".join(first.generate("words", 27, temperature=0.9, top_p=0.95, seed=3))
    second.load_state(state_of(first, tmp_path / "state"))
    assert begun + "".join(second.generate("", 27, temperature=0.9, top_p=0.95)) == text
    assert begun + "".join(first.generate("", 27, temperature=0.9, top_p=0.95, seed=3)) == text
    logits = whole.step(np.array([5]))
    np.testing.assert_array_equal(second.step(np.array([5])), logits)
    np.testing.assert_array_equal(first.step(np.array([5])), logits)


@pytest.mark.parametrize("load", BACK_ENDS)
@pytest.mark.parametrize("n", range(1, 7))
def test_a_stop_within_a_character_leaves_its_bytes_to_what_follows(utf8, load, n, tmp_path):
    whole, first, second = load(utf8), load(utf8), load(utf8)
    text = "".join(whole.generate("€", 20, seed=1))
    begun = "".join(first.generate("€", n, seed=1))
    second.load_state(state_of(first, tmp_path / "state"))
    assert second.unfinished == first.unfinished
    assert begun + "".join(second.generate("", 20 - n)) == text


@pytest.mark.slow
def test_some_stop_is_within_a_character(utf8):
    left, begun = set(), Session.load(utf8)
    for n in range(1, 12):
        session = begun.fork()
        list(session.generate("€", n, seed=1))
        left.add(session.unfinished)
    assert len(left) > 1


@pytest.mark.parametrize(("first", "second"), [BACK_ENDS, BACK_ENDS[::-1]])
def test_a_text_goes_on_on_the_other_back_end(exported, first, second, tmp_path):
    whole, begun, after = first(exported), first(exported), second(exported)
    text = "".join(whole.generate("words", 60, seed=4))
    head = "".join(begun.generate("words", 30, seed=4))
    after.load_state(state_of(begun, tmp_path / "state"))
    assert head + "".join(after.generate("", 30)) == text


@pytest.mark.parametrize("load", BACK_ENDS)
def test_another_seed_or_a_prompt_begins_draws_anew(exported, load):
    session = load(exported)
    list(session.generate("words", 9, seed=3))

    def text(prompt, **how):
        return "".join(session.fork().generate(prompt, 15, **how))

    assert text("") == text("", seed=3) != text("", seed=4)
    assert text("a") == text("a", seed=0)
    session.step(np.array([4]))
    assert text("") == text("", seed=0)


@pytest.mark.parametrize("load", BACK_ENDS)
def test_with_nothing_read_there_is_nothing_to_go_on_from(exported, load, tmp_path):
    session = load(exported)
    with pytest.raises(InputError, match="the prompt is empty"):
        session.generate("", 3)
    session.prefill(np.array([[3]]))
    session.reset()
    session.load_state(state_of(session, tmp_path / "state"))
    with pytest.raises(InputError, match="the prompt is empty"):
        session.generate("", 3)


@pytest.mark.parametrize("load", BACK_ENDS)
def test_a_state_names_its_model_and_vocabulary(exported, load, model, tmp_path):
    with safe_open(state_of(load(exported), tmp_path / "state"), "np") as file:
        metadata = file.metadata()
    assert metadata["model"] == identity(model.config, model.state_dict())
    assert metadata["vocabulary"] == Vocabulary(WORDS).identity


@pytest.mark.parametrize("load", BACK_ENDS)
def test_a_state_of_another_model_of_the_same_shape_is_refused(exported, load, config, tmp_path):
    session, other = load(exported), TorchSession(trained_looking(config, seed=7))
    session.prefill(np.array([[3], [4]]))
    expected = session.fork().step(np.array([5]))
    path = state_of(other, tmp_path / "other")
    for options in ({}, dict(unidentified=True)):
        with pytest.raises(InputError, match=f"of another model, {other.identity[:12]}.*; this one is"):
            session.load_state(path, **options)
    np.testing.assert_allclose(session.step(np.array([5])), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("load", BACK_ENDS)
def test_a_state_that_does_not_name_its_model_is_taken_only_if_asked_for(exported, load, config, tmp_path):
    State.zeros(config, 2).save(tmp_path / "old")
    session = load(exported)
    with pytest.raises(InputError, match=r"old does not say which model it is a state of.*--unidentified-state"):
        session.load_state(tmp_path / "old")
    assert session.batch == 1
    session.load_state(tmp_path / "old", unidentified=True)
    assert session.batch == 2


@pytest.mark.parametrize("load", BACK_ENDS)
def test_a_state_of_another_vocabulary_is_refused(exported, load, model, tmp_path):
    other = TorchSession(model, Vocabulary([*WORDS[:2], *reversed(WORDS[2:])]))
    path = state_of(other, tmp_path / "other")
    with pytest.raises(InputError, match="is a state of another vocabulary"):
        load(exported).load_state(path)
    load(exported).load_state(state_of(TorchSession(model), tmp_path / "of ids"))


def changed(path, tensors=None, **metadata):
    with safe_open(path, "np") as file:
        metadata = {**file.metadata(), **metadata}
    save_file({**load_file(path), **(tensors or {})}, path, metadata)
    return path


@pytest.mark.parametrize("load", BACK_ENDS)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_state_of_nan_or_infinity_is_refused_by_name(exported, load, wrong, tmp_path):
    session = load(exported)
    c = np.zeros((1, SIZES["emb"]), np.float32)
    c[0, 3] = wrong
    path = changed(state_of(session, tmp_path / "state"), {"layers.1.c": c})
    with pytest.raises(InputError, match=r"the state's layers\.1\.c hold NaN or infinity"):
        session.load_state(path)


@pytest.mark.parametrize("load", BACK_ENDS)
@pytest.mark.parametrize(("tensors", "metadata"), [
    ({}, "no json"), ({}, "[]"), ({}, '{"unfinished": ""}'),
    ({}, '{"unfinished": "x", "seed": null, "drawn": 0, "slot": null}'),
    ({}, '{"unfinished": "", "seed": -1, "drawn": 0, "slot": null}'),
    ({}, '{"unfinished": "", "seed": 1, "drawn": null, "slot": null}'),
    ({"tokens": np.array([99])}, None), ({"tokens": np.array([1.0])}, None),
    ({"logits": np.zeros((1, 3), np.float32)}, None), ({"logits": np.zeros((2, len(WORDS)), np.float32)}, None),
])  # fmt: skip
def test_a_damaged_continuation_is_told_and_leaves_the_session_as_it_was(exported, load, tensors, metadata, tmp_path):
    session = load(exported)
    session.prefill(np.array([[3]]))
    path = state_of(session, tmp_path / "state")
    changed(path, {f"continuation.{name}": array for name, array in tensors.items()},
            **({} if metadata is None else {"continuation": metadata}))  # fmt: skip
    expected = session.fork().step(np.array([5]))
    with pytest.raises(CheckpointError, match="state is a damaged state: its continuation"):
        session.load_state(path)
    np.testing.assert_allclose(session.step(np.array([5])), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layers", [
    [([[0.0]], [[0.0]], [])] * 3, [3], [(np.zeros(1), np.zeros(1))], [[np.zeros((1, 12)), np.zeros((1, 12)), None]],
])  # fmt: skip
def test_a_state_that_is_not_arrays_is_told(exported, layers):
    with pytest.raises(InputError, match=r"layer 0 of the state is .*; it must be the three NumPy arrays"):
        Session.load(exported).set_state(layers)


@pytest.mark.slow
def test_the_command_goes_on_where_a_state_was_saved(sharnn, exported, tmp_path):
    def text(*arguments):
        code, out, err = sharnn("generate", exported, *arguments)
        assert (code, err) == (0, "")
        return out.removesuffix("\n")

    state = tmp_path / "state"
    whole = text("--prompt", "words", "-n", 60, "--seed", 5)
    first = text("--prompt", "words", "-n", 30, "--seed", 5, "--save-state", state)
    assert first + text("--state", state, "--prompt", "", "-n", 30) == whole
    State.load(state).save(state)
    code, _, err = sharnn("generate", exported, "--state", state, "--prompt", "a")
    assert code == 3
    assert "does not say which model it is a state of" in err
    assert text("--state", state, "--prompt", "a", "--unidentified-state", "-n", 3)


@pytest.mark.slow
def test_the_command_shows_a_character_that_nothing_will_complete(sharnn, utf8, tmp_path):
    loaded = Session.load(utf8)
    for n in range(1, 5):
        session = loaded.fork()
        begun = "".join(session.generate("€", n, seed=1))
        out = sharnn("generate", utf8, "--prompt", "€", "-n", n, "--seed", 1)[1]
        assert out == begun + ("\N{REPLACEMENT CHARACTER}" if session.unfinished else "") + "\n"
        kept = sharnn("generate", utf8, "--prompt", "€", "-n", n, "--seed", 1, "--save-state", tmp_path / "s")[1]
        assert kept == begun + "\n"
