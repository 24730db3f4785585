from .backend import Backend, Layers
from .laws import ANY_MODEL, LAWS
from .machine import sequences_machine
from .oracle import Broken, Expected, Oracle, check
from .plain import PlainSHARNN
from .record import record_case
from .repro import replay, with_repro
from .strategies import Spec, configs, parameters, specs, states, token_segments, tokens
from .suite import LawSuite
from .target import LawTarget, SHARNNTarget

__all__ = [
    "ANY_MODEL",
    "LAWS",
    "Backend",
    "Broken",
    "Expected",
    "LawSuite",
    "LawTarget",
    "Layers",
    "Oracle",
    "PlainSHARNN",
    "SHARNNTarget",
    "Spec",
    "check",
    "configs",
    "parameters",
    "record_case",
    "replay",
    "sequences_machine",
    "specs",
    "states",
    "token_segments",
    "tokens",
    "with_repro",
]
