from .errors import JuliaError, JuliaUnavailable, WorkerDied, WorkerTimeout
from .install.install import ensure
from .process.installation import JuliaInstallation, Lane
from .sharnn.model import JuliaModel, JuliaOutput, JuliaState
from .sharnn.training import (
    JuliaRule,
    JuliaTraining,
    JuliaUpdate,
    Moments,
    PaperRule,
    Segment,
    initial_parameters,
    lamb_update,
)
from .worker import Worker

__all__ = [
    "JuliaError",
    "JuliaInstallation",
    "JuliaModel",
    "JuliaOutput",
    "JuliaRule",
    "JuliaState",
    "JuliaTraining",
    "JuliaUnavailable",
    "JuliaUpdate",
    "Lane",
    "Moments",
    "PaperRule",
    "Segment",
    "Worker",
    "WorkerDied",
    "WorkerTimeout",
    "ensure",
    "initial_parameters",
    "lamb_update",
]
