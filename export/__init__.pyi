from .check import Found, check_export
from .errors import ExportError, ProviderError
from .exporter import export_checkpoint
from .manifest import Manifest
from .serving.session import Session

__all__ = [
    "ExportError",
    "Found",
    "Manifest",
    "ProviderError",
    "Session",
    "check_export",
    "export_checkpoint",
]
