"""Results are handed over in order, none are lost, and a function whose results are no longer read is unwound."""

import threading
import time

import pytest

from parity.subject import lockstep as module
from parity.subject.lockstep import lockstep


def count_to(n, log=None):
    def produce(emit):
        for i in range(n):
            if log is not None:
                log.append(i)
            emit(i)

    return produce


def settled(threads):
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count()


@pytest.mark.parametrize("ahead", [1, 5, 10**9])
def test_every_result_comes_once_and_in_order(ahead, monkeypatch):
    monkeypatch.setattr(module, "AHEAD", ahead)
    assert list(lockstep(count_to(17), lambda _: 1)) == list(range(17))
    assert list(lockstep(count_to(0), lambda _: 1)) == []


def test_a_function_is_ahead_by_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr(module, "AHEAD", 3)
    log = []
    results = lockstep(count_to(100, log), lambda _: 1)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    assert len(log) == 6
    results.close()


def test_an_exception_comes_after_the_results_before_it():
    def produce(emit):
        emit(1)
        raise KeyError("two")

    results = lockstep(produce, lambda _: 1)
    assert next(results) == 1
    with pytest.raises(KeyError, match="two"):
        next(results)


def test_leaving_early_unwinds_the_function(monkeypatch):
    monkeypatch.setattr(module, "AHEAD", 1)
    unwound = []

    def produce(emit):
        try:
            count_to(100)(emit)
        finally:
            unwound.append(True)

    threads = threading.active_count()
    results = lockstep(produce, lambda _: 1)
    next(results)
    results.close()
    assert unwound == [True]
    assert settled(threads) == threads


def test_several_go_in_step(monkeypatch):
    monkeypatch.setattr(module, "AHEAD", 1)
    log = []
    for _ in zip(lockstep(count_to(3, log), lambda _: 1), lockstep(count_to(3, log), lambda _: 1), strict=True):
        pass
    assert log == [0, 0, 1, 1, 2, 2]
