"""How torch's threads wait for one another."""

import os


def wait_asleep() -> None:
    """Have threads that wait sleep, unless the user says otherwise. To be called before torch is loaded.

    Threads that wait by spinning, as is their habit, keep a core from the very thread that they wait for once another
    program wants one: an update on two threads, with one other program at work on two cores, then took 16 times as long
    as on one thread; asleep, twice as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
