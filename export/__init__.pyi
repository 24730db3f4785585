from .check import CheckResult, Found, check_export
from .errors import ExportError, ProviderError
from .exporter import export_checkpoint
from .manifest import Manifest
from .serving.engine import Engine
from .serving.scheduler import Progress, Scheduler, Task
from .serving.session import Session

__all__ = [
    "CheckResult",
    "Engine",
    "ExportError",
    "Found",
    "Manifest",
    "Progress",
    "ProviderError",
    "Scheduler",
    "Session",
    "Task",
    "check_export",
    "export_checkpoint",
]
