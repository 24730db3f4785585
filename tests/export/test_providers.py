"""The provider asked for is the one used, or the error says what is missing."""

import importlib.metadata

import onnxruntime
import pytest

from export import ExportError, ProviderError, Session
from export.serving import providers
from export.serving.providers import LIBRARIES, check_libraries, check_wheels, open_session

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
    ("cpu", {}),
    ("cuda", {"use_tf32": "0", "enable_cuda_graph": "1"}),
    ("tensorrt", {"trt_cuda_graph_enable": "1"}),
])  # fmt: skip
def test_products_are_of_float32_and_graphs_are_each_providers_own_option(libraries, monkeypatch, provider, settings):
    given = []

    class Opened:
        def __init__(self, model, options, providers):
            given.extend(providers)

        def disable_fallback(self):
            pass

        def get_providers(self):
            return [given[0][0]]

    libraries()
    monkeypatch.setattr(onnxruntime, "InferenceSession", Opened)
    open_session("graph.onnx", provider, cuda_graph=True)
    assert given == [(providers.PROVIDERS[provider], settings)]
