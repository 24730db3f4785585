"""Opening onnxruntime sessions: the provider asked for is the provider used, or an error that says what is missing.

Left to itself onnxruntime logs a line and runs on the CPU where CUDA cannot load, and still lists CUDA as available.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from export.errors import ExportError, ProviderError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, OrtValue

Provider = Literal["cpu", "cuda", "tensorrt"]

PROVIDERS: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
NAMES = {theirs: ours for ours, theirs in PROVIDERS.items()}

WHEELS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-qnn")
"""Wheels that all install the module `onnxruntime`, each over the files of the others."""

_CUDA_WHEELS = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
LIBRARIES: dict[str, tuple[str, str]] = {
    "libcuda.so.1": ("the NVIDIA driver", "install the driver of your GPU from NVIDIA or your system's packages"),
    "libcudart.so.13": ("the CUDA 13 runtime", _CUDA_WHEELS),
    "libcublasLt.so.13": ("cuBLAS for CUDA 13", _CUDA_WHEELS),
    "libcudnn.so.9": ("cuDNN 9", _CUDA_WHEELS),
    "libnvinfer.so.10": ("TensorRT 10", "pip install tensorrt-cu13"),
}
"""Libraries that the providers load, by file: what each is, and how to get it."""
_SILENT, _WARNING = 4, 2  # onnxruntime's log severities: fatal alone, as errors are raised anyway; its default


def open_session(
    model: str | Path,
    provider: Provider,
    *,
    threads: int | None = None,
    weights: Mapping[str, OrtValue] | None = None,
    cuda_graph: bool = False,
    record_placement: bool = False,
) -> InferenceSession:
    """An onnxruntime session of the graph in file `model`, every node of which runs on `provider`.

    `threads` is the number of threads within an operator, by default onnxruntime's choice. `weights`, by name, are used
    where they lie instead of being packed into a copy. `cuda_graph` lets runs be replayed as CUDA graphs;
    `record_placement` records every node's provider for `export.placement.assigned_providers`.

    Raises `ProviderError` if the provider cannot be had or cannot take every node, saying what is missing and how to
    get it; `ExportError` for a file that is not a graph.
    """
    check_wheels()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    if threads is not None:
        options.intra_op_num_threads = threads
    if weights is not None:
        options.add_session_config_entry("session.disable_prepacking", "1")
    for name, value in (weights or {}).items():
        options.add_initializer(name, value)
    if record_placement:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if provider != "cpu":
        check_libraries(provider)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    settings = _provider_settings(provider, cuda_graph)
    onnxruntime.set_default_logger_severity(_SILENT)
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=[(PROVIDERS[provider], settings)])
    except Exception as error:  # onnxruntime's errors share no base
        if provider != "cpu":
            raise ProviderError(f"{provider} cannot run {model}: {_first_line(error)}") from error
        raise ExportError(f"{model} is not a graph that onnxruntime can run: {_first_line(error)}") from error
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)
    session.weights = weights  # they must live as long as the session, which does not own them
    session.disable_fallback()  # a run that fails must not be repeated on another provider
    used = NAMES.get(session.get_providers()[0], session.get_providers()[0])
    if used != provider:
        raise ProviderError(
            f"{provider} was asked for and onnxruntime fell back to {used}, although every library it needs was found; "
            "check that the GPU is one that this onnxruntime supports"
        )
    return session


def _provider_settings(provider: Provider, cuda_graph: bool) -> dict[str, str]:
    if provider == "cuda":
        # By default products of float32 would be computed in TF32, whose mantissa has 10 bits.
        return {"use_tf32": "0", "enable_cuda_graph": str(int(cuda_graph))}
    return {"trt_cuda_graph_enable": str(int(cuda_graph))} if provider == "tensorrt" else {}


def installed_wheels() -> list[str]:
    """Names of the installed wheels that provide the module `onnxruntime`."""
    return [wheel for wheel in WHEELS if any(importlib.metadata.distributions(name=wheel))]


def check_wheels() -> None:
    """Raise `ProviderError` unless exactly one installed wheel provides onnxruntime."""
    wheels = installed_wheels()
    if not wheels:
        raise ProviderError('onnxruntime is not installed: pip install "sharnn[cpu]", or "sharnn[gpu]" for CUDA')
    if len(wheels) > 1:
        raise ProviderError(
            f"{' and '.join(wheels)} are both installed; they overwrite each other's files, so that either may be "
            f'broken without any error. Keep one: pip uninstall -y {" ".join(wheels)}, then pip install "sharnn[gpu]" '
            'or "sharnn[cpu]"'
        )


def check_libraries(provider: Provider) -> None:
    """Raise `ProviderError` naming everything that `provider` needs and this machine lacks."""
    import onnxruntime

    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise ProviderError(
            f"{provider} was asked for, and the installed {' '.join(installed_wheels())} is built without it: "
            f'pip uninstall -y {" ".join(installed_wheels())}, then pip install "sharnn[gpu]"'
        )
    _preload()
    missing = [
        f"{what} ({file}): {how}"
        for file, (what, how) in LIBRARIES.items()
        if (provider == "tensorrt" or file != "libnvinfer.so.10") and not _loads(file)
    ]
    if missing:
        raise ProviderError(f"{provider} was asked for, and this machine lacks " + "; ".join(missing))


def _preload() -> None:
    """Let onnxruntime load the CUDA libraries of installed wheels, which the system's loader would not find."""
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        onnxruntime.preload_dlls()


def _loads(file: str) -> bool:
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True


def _first_line(error: Exception) -> str:
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__
