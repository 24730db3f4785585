"""What is told of a sequence while its text ends."""

from types import SimpleNamespace

from export.server.registry import Living


def test_a_sequence_is_busy_until_what_was_drawn_is_counted():
    """A client that left, and was told that nobody used the sequence, counted a token too few now and then."""
    living = Living(number=0, fed=3, busy=True)
    living.run = SimpleNamespace(drawn=2)
    living.busy = False  # its request has ended, and the engine's thread has yet to end the run
    told = living.told()
    assert (told.tokens, told.busy) == (5, True)
    living.run.drawn += 1
    living.settle(living.run)
    told = living.told()
    assert (told.tokens, told.busy) == (6, False)
