"""What a result depends on, onnxruntime's providers and the Julia installation included."""

from importlib.metadata import PackageNotFoundError, version

from julia_bridge import JuliaUnavailable
from julia_bridge.install.install import find
from parity.report.environment import environment as engine_environment
from sharnn_py.errors import SharnnError

ONNXRUNTIME = ("onnxruntime-gpu", "onnxruntime", "onnxruntime-openvino")
"""The distributions that onnxruntime comes in; one at most is installed."""


def environment() -> dict[str, str]:
    """Each of these, in words, by its name."""
    return {**engine_environment(), "onnxruntime": _providers(), "Julia installation": _julia()}


def _providers() -> str:
    for name in ONNXRUNTIME:
        try:
            found = f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
        import onnxruntime

        return f"{found}; providers: {', '.join(onnxruntime.get_available_providers())}"
    return "not installed"


def _julia() -> str:
    try:
        return find().name
    except JuliaUnavailable:
        return "none"
    except SharnnError as error:
        return str(error)
