"""Phrases are found by words, by sense, away from others, between two, and from each to the next."""

import numpy as np
import pytest

from sharnn_py.errors import InputError
from sharnn_py.yarn import store
from sharnn_py.yarn.finding import Finder, away, between, fuse
from sharnn_py.yarn.indexing import index
from sharnn_py.yarn.sense import Sense, normalised


@pytest.fixture
def finder(indexed):
    return Finder(indexed)


def test_words_are_found_by_bm25(finder):
    found = finder.worded("wilderness", 10)
    assert [one.text for one in found] == [
        "A voice in the wilderness, crying: make straight the way.",
        "Make straight the path, said a voice in the wilderness.",
    ]
    assert found[0].score >= found[1].score > 0
    assert finder.worded("zebra", 10) == []


def test_a_phrase_is_nearest_to_itself(finder):
    every = finder.everything()
    for number in every.ids:
        nearest = finder.near(finder.vector(number), 1)[0]
        assert nearest.text == every.texts[number]  # one text has a phrase three times
        assert nearest.score == pytest.approx(1, abs=1e-5)


def test_what_is_near_is_what_exact_cosines_say(finder):
    every = finder.everything()
    cosines = every.vectors @ every.vectors[3]
    found = finder.near(finder.vector(3), 5)
    np.testing.assert_allclose([one.score for one in found], np.sort(cosines)[::-1][:5], atol=1e-5)


def test_sources_and_phrases_are_left_out(finder):
    vector = finder.vector(0)
    assert {one.source for one in finder.near(vector, 50, ["lamps.txt"])} == {"lamps.txt"}
    assert 0 not in {one.id for one in finder.near(vector, 50, without=[0])}
    assert {one.source for one in finder.worded("lamps the", 50, ["ships.txt"])} == {"ships.txt"}
    with pytest.raises(InputError, match=r"boats\.txt is no text of .*; it has ships\.txt, lamps\.txt"):
        finder.require_sources(["boats.txt"])


def test_positions(finder):
    assert finder.phrase("3").id == 3
    assert finder.phrase("ships.txt@line 3.2").text.startswith("A voice in the wilderness")
    assert finder.phrase("lamps.txt@line 1").text == "The lamps went out."
    with pytest.raises(
        InputError, match=r"no phrase is at 'line 99'; give a place as results name it, such as 'line 1'"
    ):
        finder.phrase("line 99")
    with pytest.raises(
        InputError, match=r"more than one phrase is at 'line 1'; give ships\.txt@line 1, or its number: 0"
    ):
        finder.phrase("line 1")
    with pytest.raises(InputError, match="it's"):
        finder.phrase("it's")


def test_context_is_of_the_same_text(finder):
    every = finder.everything()
    border = every.sources.index("lamps.txt")
    before, after = finder.context(finder.phrase(str(border)), 2)
    assert ([one.id for one in before], [one.id for one in after]) == ([], [border + 1, border + 2])
    before, after = finder.context(finder.phrase(str(border - 1)), 2)
    assert ([one.id for one in before], [one.id for one in after]) == ([border - 3, border - 2], [])


def test_a_walk_goes_to_the_nearest_that_was_not_seen(finder):
    every = finder.everything()
    thread = [one.id for one in finder.walk(finder.phrase("2"), 6)]
    assert len(set(thread)) == 6
    for at in range(1, 6):
        cosines = every.vectors @ every.vectors[thread[at - 1]]
        cosines[thread[:at]] = -2
        assert cosines[thread[at]] == pytest.approx(cosines.max(), abs=1e-5)
    assert len(finder.walk(finder.phrase("2"), 1000)) == len(every.ids)


def test_away_and_between():
    one, other = normalised(np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32))
    middle = between(one, other)
    assert middle @ one == pytest.approx(middle @ other, abs=1e-6)
    assert away(one, other) @ other < min(one @ other, 0)
    assert np.linalg.norm(away(one, one)) == pytest.approx(1, abs=1e-5)


def test_fusing_adds_shares():
    fused = fuse({1: 10.0, 2: 5.0}, {2: 0.8, 3: 0.4})
    assert fused == pytest.approx({2: 0.5 + 1.0, 1: 1.0 + 0.5, 3: 0.5 + 0.5})
    assert fuse({}, {3: 0.4, 1: 0.5}) == pytest.approx({1: 1.0, 3: 0.8})
    assert fuse({}, {}) == {}


def test_words_and_sense_together(finder, reader):
    words = "A voice in the wilderness, crying: make straight the way."
    vector = finder.vector_of_words(words, reader)
    found = finder.fused(words, vector, 3)
    assert found[0].text == words
    assert len(found) == 3
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_vectors_are_centred_and_whitened():
    rng = np.random.default_rng(0)
    pooled = (rng.standard_normal((4000, 6)) @ rng.standard_normal((6, 6)) + 5).astype(np.float32)
    sense = Sense.fit([pooled[:1000], pooled[1000:]], [2, 4])
    mapped = (pooled - sense.mean) @ sense.matrix
    covariance = np.cov(mapped.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    assert np.abs(sense(pooled).mean(0)).max() < 0.05
    np.testing.assert_allclose(np.linalg.norm(sense(pooled), axis=1), 1, atol=1e-5)


def test_few_phrases_or_equal_ones_do_no_harm():
    pooled = np.ones((3, 4), np.float32)
    assert np.isfinite(Sense.fit([pooled], [4])(pooled)).all()
    assert np.isfinite(Sense.fit([pooled[:1]], [4])(pooled)).all()


@pytest.mark.slow
def test_many_phrases_have_an_approximate_index(reader, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "APPROXIMATE", 300)
    words = ["sea", "ship", "shore", "voice", "lamp", "night", "path", "word"]
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(words, 4)) for _ in range(400)]
    (tmp_path / "many.txt").write_text("\n".join(lines))
    index(tmp_path / "index", [tmp_path / "many.txt"], reader, checkpoint, "lines", print)
    finder = Finder(tmp_path / "index")
    assert "IVF_PQ" in {one.index_type.upper().replace("IVFPQ", "IVF_PQ") for one in finder._table.list_indices()}
    every = finder.everything()
    hits = 0
    for number in range(0, 400, 20):
        exact = set(np.argsort(-(every.vectors @ every.vectors[number]))[:5].tolist())
        hits += len(exact & {one.id for one in finder.near(finder.vector(number), 5)})
    assert hits >= 85  # of 100
