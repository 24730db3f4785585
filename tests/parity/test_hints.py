"""A hint is true elsewhere too, or it is not said."""

import pytest

from parity.diagnosis.case import _confirmed
from parity.report import words
from parity.results import Hint


def hint(description):
    return Hint(description, "eval/1/norm", 1e6, 0.5)


def confirmed(description, **elsewhere):
    return _confirmed((hint(description),), [(name, tuple(map(hint, found))) for name, found in elsewhere.items()])


def test_what_there_is_nowhere_else_to_see_stays():
    assert confirmed("takes no bias") == (hint("takes no bias"),)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("takes no bias", "takes no bias"),
        ("divides by sqrt(K) = sqrt(12)", "divides by sqrt(K) = sqrt(9)"),
        ("drops the oldest 1 row", "drops the oldest 2 rows"),
        ("drops no rows; the reference the oldest 1", "drops the oldest 2 rows; the reference the oldest 3"),
        ("drops the oldest 1 row; the reference none", "drops the oldest 4 rows; the reference the oldest 3"),
        ("scales the weight by 0.925820", "scales the weight by 0.925823"),
    ],
)
def test_what_holds_elsewhere_is_said_with_the_place(here, there):
    (found,) = confirmed(here, eval_2=[], eval_3=[there])
    assert found.also_at == ("eval_3",)
    assert "so it does at eval_3" in words.hint(found)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("scales the weight by 0.92582", "scales the weight by 0.94868"),  # n - 1 updates were divided by
        ("scales its rate by 1", "corrects the first moment"),
        ("reverses the rows", "reverses the columns"),
    ],
)
def test_a_coincidence_is_not_said(here, there):
    assert confirmed(here, eval_2=[there]) == ()


def test_what_explains_the_others_alike_is_said_in_its_place():
    """A state that was zero before cannot tell a reset from one that is not updated."""
    (found,) = confirmed("is reset", eval_3=["is not updated"], eval_2=["is not updated"])
    assert found.description == "is not updated"
    assert found.also_at == ("eval_3", "eval_2")


def test_what_is_unexplained_elsewhere_is_named():
    (found,) = confirmed("hides the past", eval_2=[], eval_3=[])
    assert found.not_at == ("eval_2", "eval_3")
    assert "not so at eval_2, eval_3" in words.hint(found)
