"""The provider asked for is the one used, or the error says what is missing."""

import ctypes
import importlib.metadata
import sys
from pathlib import Path

import onnxruntime
import pytest

from export import ExportError, ProviderError, Session
from export.serving import providers
from export.serving.providers import LIBRARIES, check_device, check_libraries, check_wheels, open_session
from sharnn_py import ConfigError

pytestmark = pytest.mark.usefixtures("opened_anew")

NEEDS_NO_GPU = "this machine has the libraries of CUDA; what is said without them is checked on one that does not"


def without_gpu():
    if all(providers._loads(file) for file in LIBRARIES):
        pytest.skip(NEEDS_NO_GPU)


@pytest.fixture
def wheels(monkeypatch):
    """Pretend that just these wheels are installed."""

    def install(*names):
        monkeypatch.setattr(importlib.metadata, "distributions", lambda name: [name] if name in names else [])

    return install


@pytest.fixture
def libraries(monkeypatch):
    """Pretend that every library is there but these."""

    def lack(*files):
        monkeypatch.setattr(providers, "_loads", lambda file: file not in files)
        monkeypatch.setattr(providers, "_preload", lambda: None)
        monkeypatch.setattr(providers, "check_device", lambda provider, device_id: None)

    return lack


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_that_is_not_there_is_an_error_and_not_the_cpu(exported, provider, capfd):
    without_gpu()
    with pytest.raises(ProviderError, match=rf"{provider} was asked for, and this machine lacks .*libc"):
        Session.load(exported, provider)
    assert capfd.readouterr() == ("", "")  # onnxruntime's own words are in the error, not on the screen


@pytest.mark.parametrize("file", LIBRARIES)
def test_each_missing_library_is_named_with_the_way_to_get_it(libraries, file):
    libraries(file)
    what, how = LIBRARIES[file]
    with pytest.raises(ProviderError) as raised:
        check_libraries("tensorrt")
    assert f"lacks {what} ({file}): {how}" in str(raised.value)
    assert str(raised.value).count("lib") == 1


def test_what_is_got_in_the_same_way_is_said_together(libraries):
    libraries("libcurand.so.10", "libcublas.so.13")
    with pytest.raises(ProviderError) as raised:
        check_libraries("cuda")
    assert str(raised.value) == (
        "cuda was asked for, and this machine lacks cuBLAS for CUDA 13 (libcublas.so.13), cuRAND for CUDA 13 "
        '(libcurand.so.10): pip install "onnxruntime-gpu[cuda,cudnn]"'
    )


def test_cuda_needs_no_tensorrt(libraries):
    libraries("libnvinfer.so.10")
    check_libraries("cuda")


def test_a_provider_that_fails_though_its_libraries_are_there_is_an_error(exported, libraries, capfd):
    """Here onnxruntime itself cannot load CUDA and would continue on the CPU."""
    without_gpu()
    libraries()
    with pytest.raises(ProviderError, match="cuda cannot run"):
        open_session(exported / "segment.onnx", "cuda")
    assert capfd.readouterr().err == ""


def test_a_session_that_fell_back_is_refused(exported, libraries, monkeypatch):
    class FellBack:
        def __init__(self, *args, **named):
            pass

        def disable_fallback(self):
            pass

        def get_providers(self):
            return ["CPUExecutionProvider"]

    libraries()
    monkeypatch.setattr(onnxruntime, "InferenceSession", FellBack)
    with pytest.raises(ProviderError, match="cuda was asked for and onnxruntime fell back to cpu"):
        open_session(exported / "segment.onnx", "cuda")


def test_both_wheels_at_once_are_explained(wheels, exported):
    wheels("onnxruntime", "onnxruntime-gpu")
    with pytest.raises(
        ProviderError, match=r"onnxruntime and onnxruntime-gpu are both .* overwrite .*uninstall -y onn"
    ):
        Session.load(exported)


def test_no_wheel_names_the_extras(wheels):
    wheels()
    with pytest.raises(ProviderError, match=r"sharnn\[cpu\].*sharnn\[gpu\]"):
        check_wheels()


def test_a_wheel_without_cuda_is_named(wheels, monkeypatch):
    wheels("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ProviderError, match=r"the installed onnxruntime is built without it.*sharnn\[gpu\]"):
        check_libraries("cuda")


@pytest.mark.parametrize("data", [b"", b"not a graph"])
def test_a_corrupt_graph_is_one_sentence(tmp_path, data):
    (tmp_path / "graph.onnx").write_bytes(data)
    with pytest.raises(ExportError, match="is not a graph that onnxruntime can run") as raised:
        open_session(tmp_path / "graph.onnx", "cpu")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("provider", "settings"), [
    ("cuda", {"use_tf32": "0", "enable_cuda_graph": "1", "device_id": "2"}),
    ("tensorrt", {"trt_cuda_graph_enable": "1", "device_id": "2"}),
])  # fmt: skip
def test_products_are_of_float32_and_graphs_are_each_providers_own_option(opened, provider, settings):
    open_session("graph.onnx", provider, cuda_graph=True, device_id=2)
    assert opened == [(providers.PROVIDERS[provider], settings)]


def test_a_cpu_is_given_no_options(opened):
    open_session("graph.onnx", "cpu", threads=2)
    assert opened == [("CPUExecutionProvider", {})]


def test_options_of_the_provider_reach_it_and_one_that_has_another_default_here_is_overruled(opened):
    options = {"gpu_mem_limit": 2 << 30, "arena_extend_strategy": "kSameAsRequested", "use_tf32": True}
    open_session("graph.onnx", "cuda", provider_options=options)
    settings = {"gpu_mem_limit": "2147483648", "arena_extend_strategy": "kSameAsRequested", "use_tf32": "1"}
    assert opened == [("CUDAExecutionProvider", {**settings, "enable_cuda_graph": "0", "device_id": "0"})]


@pytest.fixture
def opened(libraries, monkeypatch):
    """Where every library is: the providers that sessions are opened with."""
    given = []

    class Opened:
        def __init__(self, model, options, providers, enable_fallback):
            given.extend(providers)

        def disable_fallback(self):
            pass

        def get_providers(self):
            return [given[0][0]]

    libraries()
    monkeypatch.setattr(onnxruntime, "InferenceSession", Opened)
    return given


WRONG = [
    (dict(provider="gpu"), "provider is 'gpu'; it must be 'cpu' or 'cuda' or 'tensorrt'"),
    (dict(provider="CUDAExecutionProvider"), "it must be 'cpu' or 'cuda' or 'tensorrt'"),
    (dict(provider=None), "provider is None"),
    (dict(precision="fp16"), "precision is 'fp16'; it must be 'exported' or"),
    (dict(threads=0), "threads is 0; it must be a whole number of at least 1; leave it out for onnxruntime's choice"),
    (dict(threads=-1), "threads is -1"),
    (dict(threads="2"), "threads is '2'"),
    (dict(threads=1.5), "threads is 1.5"),
    (dict(threads=True), "threads is True"),
    (dict(cuda_graph=True), "cuda_graph is True and the provider is cpu, which has none; leave it out, or ask for"),
    (dict(cuda_graph="no", provider="cuda"), "cuda_graph is 'no'; it must be True or False"),
    (dict(device_id=1), "device_id is 1 and the provider is cpu"),
    (dict(device_id=-1, provider="cuda"), "device_id is -1; it must be a whole number of at least 0"),
    (dict(provider_options={"gpu_mem_limit": 1}), "provider_options is {'gpu_mem_limit': 1} and the provider is cpu"),
    (dict(provider_options=["use_tf32"], provider="cuda"), "it must be a mapping of names to values"),
    (dict(provider_options={"device_id": 1}, provider="cuda"), "an argument of its own: give device_id"),
    (dict(provider_options={"enable_cuda_graph": 1}, provider="cuda"), "an argument of its own: give cuda_graph"),
    (dict(provider_options={"trt_cuda_graph_enable": 1}, provider="tensorrt"), "give cuda_graph"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[str(settings) for settings, _ in WRONG])
def test_wrong_settings_are_one_sentence_whatever_the_machine_has(exported, settings, message):
    with pytest.raises(ConfigError) as raised:
        Session.load(exported, **settings)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


class Driver:
    """An NVIDIA driver that finds so many GPUs, and is for that version of CUDA."""

    def __init__(self, gpus, version=13010, status=0):
        self.gpus, self.version, self.status = gpus, version, status

    def cuInit(self, flags):
        return self.status

    def cuDeviceGetCount(self, count):
        count._obj.value = self.gpus
        return 0

    def cuDriverGetVersion(self, version):
        version._obj.value = self.version
        return 0


@pytest.mark.parametrize(("driver", "device_id", "message"), [
    (Driver(0, status=100), 0, r"the NVIDIA driver finds no GPU \(CUDA error 100\): nvidia-smi .* --gpus all"),
    (Driver(0), 0, r"the NVIDIA driver finds no GPU \(CUDA error 0\)"),
    (Driver(1, version=12080), 0, r"the NVIDIA driver is for CUDA 12.8; this onnxruntime needs CUDA 13.0: install a n"),
    (Driver(1), 1, "device_id is 1, and the driver finds 1 GPU, numbered from 0: give at most 0"),
    (Driver(4), 7, "device_id is 7, and the driver finds 4 GPUs, numbered from 0: give at most 3"),
])  # fmt: skip
def test_a_driver_that_cannot_run_what_was_asked_for_says_why(monkeypatch, driver, device_id, message):
    monkeypatch.setattr(ctypes, "CDLL", {"libcuda.so.1": driver}.__getitem__)
    with pytest.raises(ProviderError, match=message):
        check_device("cuda", device_id)


def test_a_driver_with_the_device_that_was_asked_for_is_right(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", {"libcuda.so.1": Driver(4)}.__getitem__)
    check_device("cuda", 3)


@pytest.mark.skipif(sys.platform != "linux", reason="the table has the libraries of Linux")
def test_the_table_has_every_library_of_nvidias_that_the_cuda_provider_is_linked_with():
    from elftools.elf.elffile import ELFFile

    provider = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    with provider.open("rb") as file:
        needed = {tag.needed for tag in ELFFile(file).get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}
    theirs = {name for name in needed if name.startswith(("libcu", "libnv"))}
    assert theirs <= set(LIBRARIES)
    assert len(theirs) >= 5
