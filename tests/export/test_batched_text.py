"""Texts of several sequences at once are those of each alone, on both back ends."""

import pytest

from export import Session
from sharnn_py import ConfigError, InputError, TorchSession

PROMPTS = ["words and", "more text", "the thing"]


@pytest.fixture(params=["torch", "onnx"])
def session(request, exported):
    return TorchSession.load(exported) if request.param == "torch" else Session.load(exported, threads=1)


def together(session, prompts, *args, **named):
    session.reset(batch=len(prompts))
    texts = [""] * len(prompts)
    for sequence, piece in session.generate_batch(prompts, *args, **named):
        assert piece
        texts[sequence] += piece
    return texts


def alone(session, prompt, *args, **named):
    session.reset()
    return "".join(session.generate(prompt, *args, **named))


def test_each_has_its_prompt_and_seed_and_is_the_text_of_that_alone(session):
    seeds = [5, 6, 7]
    texts = together(session, PROMPTS, 30, 0.9, seeds=seeds)
    assert texts == [alone(session, prompt, 30, 0.9, seed=seed) for prompt, seed in zip(PROMPTS, seeds, strict=True)]
    assert len(set(texts)) == 3


def test_samples_of_one_prompt_differ_by_their_number(session):
    texts = together(session, ["words"] * 4, 20, 1.0, 9, 0.95, segment=2)
    assert texts == [alone(session, "words", 20, 1.0, 9, 0.95, seed, segment=2) for seed in range(4)]
    assert len(set(texts)) == 4


def test_each_ends_on_its_own(session):
    whole = together(session, PROMPTS, 40)
    assert together(session, PROMPTS, [40, 0, 7]) == [whole[0], "", alone(session, PROMPTS[2], 7, seed=2)]
    stops = [whole[0][3:5], whole[1][8:10]]
    cut = [text[: min((at for at in map(text.find, stops) if at >= 0), default=len(text))] for text in whole]
    assert together(session, PROMPTS, 40, stop=stops) == cut
    assert cut != whole


def test_it_goes_on_from_the_sequences_of_the_session(session):
    together(session, PROMPTS, 5)
    went_on = dict.fromkeys(range(3), "")
    for sequence, piece in session.generate_batch([" a", " b", " c"], 6):
        went_on[sequence] += piece
    for b, more in enumerate((" a", " b", " c")):
        alone(session, PROMPTS[b], 5, seed=b)
        assert "".join(session.generate(more, 6, seed=b)) == went_on[b]


WRONG = [
    ((["a", "bc", "def"], 3), {}, InputError, "the prompts have 1 and 2 and 3 tokens; the sequences of a session move"),
    ((["a", "b"], 3), {}, InputError, r"there are 2 prompts and this session carries 3 sequences; reset\(batch=2\)"),
    (("abc", 3), {}, InputError, "prompts is 'abc'; it must be a list of texts"),
    (([], 3), {}, InputError, "it must be a list of texts"),
    ((["a", "", "c"], 3), {}, InputError, "the prompt is empty"),
    ((["a", "b", "c"], 3), {"seeds": [1]}, ConfigError, "seeds has 1 numbers for 3 prompts; give one for each"),
    ((["a", "b", "c"], [3, 4]), {}, ConfigError, "n has 2 numbers for 3 prompts"),
    ((["a", "b", "c"], -1), {}, ConfigError, r"n is \[-1, -1, -1\]; each must be at least 0"),
    ((["a", "b", "c"], 3), {"seeds": [1, -2, 3]}, ConfigError, "each must be at least 0"),
    ((["a", "b", "c"], 3), {"stop": "x"}, ConfigError, "stop is 'x'; it must be a list of texts"),
    ((["a", "b", "c"], 3), {"temperature": -1}, ConfigError, "temperature is -1"),
    ((["a", "b", "c"], 3), {"segment": 0}, ConfigError, "segment is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "named", "error", "message"), WRONG, ids=[w[3] for w in WRONG])
def test_what_cannot_be_is_said_by_the_call_and_nothing_is_fed(exported, given, named, error, message):
    session = TorchSession.load(exported)
    session.reset(batch=3)
    before = session.state
    with pytest.raises(error, match=message):
        session.generate_batch(*given, **named)
    assert session.state is before
