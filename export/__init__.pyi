from .check import CheckResult, Found, check_export
from .errors import ExportError, ProviderError
from .exporter import export_checkpoint
from .manifest import Manifest
from .serving.engine import Engine
from .serving.session import Session

__all__ = [
    "CheckResult",
    "Engine",
    "ExportError",
    "Found",
    "Manifest",
    "ProviderError",
    "Session",
    "check_export",
    "export_checkpoint",
]
