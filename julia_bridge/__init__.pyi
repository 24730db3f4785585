from .errors import JuliaError, JuliaUnavailable, WorkerDied, WorkerTimeout
from .install.install import ensure
from .process.installation import JuliaInstallation, Lane
from .sharnn.model import JuliaModel, JuliaOutput, JuliaState
from .worker import Worker

__all__ = [
    "JuliaError",
    "JuliaInstallation",
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
