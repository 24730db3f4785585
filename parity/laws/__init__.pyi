from .replay import again, reporting
from .backend import Backend, Layers
from .laws import LAWS, Subject
from .machine import sequences_machine
from .plain import Oracle
from .record import record_case
from .strategies import Spec, configs, parameters, specs, states, token_segments, tokens
from .oracle import Broken, Truth, check

__all__ = [
    "LAWS",
    "Backend",
    "Broken",
    "Layers",
    "Oracle",
    "Spec",
    "Subject",
    "Truth",
    "again",
    "check",
    "configs",
    "parameters",
    "record_case",
    "reporting",
    "sequences_machine",
    "specs",
    "states",
    "token_segments",
    "tokens",
]
