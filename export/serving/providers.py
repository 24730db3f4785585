"""Opening onnxruntime sessions: the provider asked for is the provider used, or an error that says what is missing.

Left to itself onnxruntime logs a line and runs on the CPU where CUDA cannot load, and still lists CUDA as available.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from export.errors import ExportError, ProviderError, one_of, whole_number
from sharnn_py.errors import ConfigError

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


class Device(NamedTuple):
    """A device as onnxruntime names it: `OrtValue.ortvalue_from_numpy(array, *device)`."""

    kind: str
    """"cpu" or "cuda"."""
    number: int
    """Which of the devices of this kind, from 0."""


_CUDA_WHEELS = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
LIBRARIES: dict[str, tuple[str, str]] = {
    "libcuda.so.1": ("the NVIDIA driver", "install the driver of your GPU from NVIDIA or your system's packages"),
    "libcudart.so.13": ("the CUDA 13 runtime", _CUDA_WHEELS),
    "libcublasLt.so.13": ("cuBLASLt for CUDA 13", _CUDA_WHEELS),
    "libcublas.so.13": ("cuBLAS for CUDA 13", _CUDA_WHEELS),
    "libcurand.so.10": ("cuRAND for CUDA 13", _CUDA_WHEELS),
    "libcudnn.so.9": ("cuDNN 9", _CUDA_WHEELS),
    "libnvinfer.so.10": ("TensorRT 10", "pip install tensorrt-cu13"),
}
"""Libraries that the providers load, by file: what each is, and how to get it."""
CUDA = 13000
"""The version of CUDA that `LIBRARIES` are of, as the driver counts: 1000 times the major version."""
OURS: dict[Provider, dict[str, str]] = {
    "cuda": {"device_id": "device_id", "enable_cuda_graph": "cuda_graph"},
    "tensorrt": {"device_id": "device_id", "trt_cuda_graph_enable": "cuda_graph"},
}
"""Options of onnxruntime's that are arguments here, with the argument of each."""
_SILENT, _WARNING = 4, 2  # onnxruntime's log severities: fatal alone, as errors are raised anyway; its default


def open_session(
    model: str | Path,
    provider: Provider,
    *,
    threads: int | None = None,
    weights: Mapping[str, OrtValue] | None = None,
    cuda_graph: bool = False,
    device_id: int = 0,
    provider_options: Mapping[str, object] | None = None,
    record_placement: bool = False,
) -> InferenceSession:
    """An onnxruntime session of the graph in file `model`, every node of which runs on `provider`.

    `threads` is the number of threads within an operator, by default onnxruntime's choice. `weights`, by name, are used
    where they lie instead of being packed into a copy. `cuda_graph` lets runs be replayed as CUDA graphs; `device_id`
    and `provider_options` are those of `export.Session.load`; `record_placement` records every node's provider for
    `export.placement.assigned_providers`.

    Raises `ConfigError` for settings that `check_settings` refuses; `ProviderError` if the provider cannot be had or
    cannot take every node, saying what is missing and how to get it; `ExportError` for a file that is not a graph.
    """
    check_settings(provider, threads, cuda_graph, device_id, provider_options)
    check_wheels()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    if threads is not None:
        options.intra_op_num_threads = int(threads)
    if weights is not None:
        options.add_session_config_entry("session.disable_prepacking", "1")
    for name, value in (weights or {}).items():
        options.add_initializer(name, value)
    if record_placement:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if provider != "cpu":
        check_libraries(provider)
        check_device(provider, device_id)
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    settings = _provider_settings(provider, cuda_graph, device_id, provider_options or {})
    onnxruntime.set_default_logger_severity(_SILENT)
    try:
        # With its fallback it would print what went wrong, try the CPU, and raise what went wrong there.
        session = onnxruntime.InferenceSession(
            str(model), options, providers=[(PROVIDERS[provider], settings)], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's errors share no base
        wrong = re.search(r'provider option:? "(\w+)"', str(error))
        if wrong:
            name = wrong[1]
            raise ConfigError(
                f"provider_options has {name} = {settings.get(name)!r}, and onnxruntime's {provider} has no such "
                "option or cannot take that value; its documentation of the provider lists them"
            ) from error
        if provider != "cpu":
            raise ProviderError(f"{provider} cannot run {model}: {first_line(error)}") from error
        raise ExportError(f"{model} is not a graph that onnxruntime can run: {first_line(error)}") from error
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


def check_settings(
    provider: Provider,
    threads: int | None,
    cuda_graph: bool,
    device_id: int,
    provider_options: Mapping[str, object] | None,
) -> None:
    """Raise `ConfigError` unless these are settings that go together, whatever this machine has."""
    one_of("provider", provider, tuple(PROVIDERS))
    if threads is not None:
        whole_number(1, "threads", threads, "; leave it out for onnxruntime's choice")
    whole_number(0, "device_id", device_id)
    if not isinstance(cuda_graph, bool):
        raise ConfigError(f"cuda_graph is {cuda_graph!r}; it must be True or False")
    if provider == "cpu":
        given = {"cuda_graph": cuda_graph, "device_id": device_id, "provider_options": provider_options}
        for name in (name for name, value in given.items() if value):
            raise ConfigError(
                f"{name} is {given[name]!r} and the provider is cpu, which has none; leave it out, or ask for the "
                "provider cuda or tensorrt"
            )
    if not isinstance(provider_options or {}, Mapping):
        raise ConfigError(f"provider_options is {provider_options!r}; it must be a mapping of names to values")
    for name in provider_options or {}:
        if name in OURS[provider]:
            raise ConfigError(
                f"provider_options has {name!r}, which is an argument of its own: give {OURS[provider][name]}"
            )


def _provider_settings(
    provider: Provider, cuda_graph: bool, device_id: int, provider_options: Mapping[str, object]
) -> dict[str, str]:
    if provider == "cpu":
        return {}
    values = {"device_id": device_id, "cuda_graph": cuda_graph}
    settings: dict[str, object] = {theirs: values[ours] for theirs, ours in OURS[provider].items()}
    if provider == "cuda":
        settings["use_tf32"] = False  # by default float32 is multiplied in TF32, whose significand has 10 bits
    given = {**settings, **provider_options}
    return {name: str(int(value)) if isinstance(value, bool) else str(value) for name, value in given.items()}


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
    missing: dict[str, list[str]] = {}
    for file, (what, how) in LIBRARIES.items():
        if (provider == "tensorrt" or file != "libnvinfer.so.10") and not _loads(file):
            missing.setdefault(how, []).append(f"{what} ({file})")
    if missing:
        lacks = "; ".join(f"{', '.join(files)}: {how}" for how, files in missing.items())
        raise ProviderError(f"{provider} was asked for, and this machine lacks {lacks}")


def check_device(provider: Provider, device_id: int) -> None:
    """Raise `ProviderError` unless the NVIDIA driver has this device and is new enough for these libraries."""
    driver = ctypes.CDLL("libcuda.so.1")
    status, count, version = driver.cuInit(0), ctypes.c_int(), ctypes.c_int()
    if not status:
        status = driver.cuDeviceGetCount(ctypes.byref(count)) or driver.cuDriverGetVersion(ctypes.byref(version))
    if status or not count.value:
        raise ProviderError(
            f"{provider} was asked for, and the NVIDIA driver finds no GPU (CUDA error {status}): nvidia-smi should "
            "list it, CUDA_VISIBLE_DEVICES not hide it, and a container be started with --gpus all"
        )
    if version.value < CUDA:
        found, needed = (f"{number // 1000}.{number % 1000 // 10}" for number in (version.value, CUDA))
        raise ProviderError(
            f"{provider} was asked for, and the NVIDIA driver is for CUDA {found}; this onnxruntime needs CUDA "
            f"{needed}: install a newer driver"
        )
    if device_id >= count.value:
        raise ProviderError(
            f"device_id is {device_id}, and the driver finds {count.value} GPU{'s' if count.value > 1 else ''}, "
            f"numbered from 0: give at most {count.value - 1}"
        )


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


def first_line(error: Exception) -> str:
    """The first line of what an error says, or its name if it says nothing."""
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__
