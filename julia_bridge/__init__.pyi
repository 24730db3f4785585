from .errors import JuliaError, JuliaUnavailable, WorkerDied, WorkerTimeout
from .install import ensure
from .lane import Lane
from .model import JuliaModel, JuliaOutput, JuliaState
from .worker import Worker

__all__ = [
    "JuliaError",
    "JuliaModel",
    "JuliaOutput",
    "JuliaState",
    "JuliaUnavailable",
    "Lane",
    "Worker",
    "WorkerDied",
    "WorkerTimeout",
    "ensure",
]
