"""Small models of both semantics, exported."""

import collections
import dataclasses
import hashlib
import io
import itertools
import os

import pytest
import torch

import export.check
import export.exporter
import export.serving.onnx_sessions
import export.serving.providers
from sharnn_py import JULIA, PAPER, SHARNN, Config, Vocabulary, save_checkpoint
from sharnn_py.cli import main

WORDS = ["<s>", "<unk>", *(str(byte) for byte in b" abcdefghijklmnopqrstuvwxyz")]
MOST_KEPT = 32
"""Open graphs: each has a thread or two of its own."""
SIZES = dict(vocab=len(WORDS), emb=12, hidden=36, layers=3, heads=3, max_memory=6, attention_layers=(0, 2))


def trained_looking(config, seed=1):
    """A model in evaluation mode with every parameter away from its special initial value."""
    model = SHARNN(config, torch.Generator().manual_seed(seed)).eval()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def digest(models):
    """Of every number of every model, and whether its activations are rounded."""
    found = hashlib.sha256()
    for model in models:
        for name, tensor in model.state_dict().items():
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
        hooks = [hook for module in model.modules() for hook in module._forward_pre_hooks.values()]
        found.update(f"{model.config} {len(hooks)}".encode())
    return found.digest()


@pytest.fixture(scope="session", autouse=True)
def what_pytorch_computes_for_an_export_is_kept():
    """Most of a check is seventeen PyTorch models run on the same replays, whichever export of a model is checked.

    What they gave is found again by all that it comes of: every number of every model, and what they are run on. So is
    the golden vector, two thirds of an export's time, by the model in float64, of which its other runs are made.
    """
    kept, by_pytorch, golden = {}, export.check.by_pytorch, export.exporter.golden

    def found(models, stepwise, slots=None):
        asked = (digest(models), stepwise, tuple(export.check.replays(models[0].config.max_memory, slots)))
        if asked not in kept:
            kept[asked] = list(by_pytorch(models, stepwise, slots))
        return iter(kept[asked])

    def golden_again(models, dtype, capacity):
        truth = next(models)
        asked = (digest([truth]), dtype, capacity)
        if asked not in kept:
            kept[asked] = golden(itertools.chain([truth], models), dtype, capacity)
        return kept[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.check, "by_pytorch", found)
        patch.setattr(export.exporter, "golden", golden_again)
        yield


@pytest.fixture(scope="session", autouse=True)
def graphs_that_were_opened_are_kept():
    """Opening a graph takes longer than most of what is done with it, and leaves nothing that a run could change.

    So a graph is opened once for all who open the same bytes, of it and of its weights, in the same way; a fork of this
    process, which has not its threads, opens its own. `opened_anew` is for tests of opening.
    """
    kept, real = collections.OrderedDict(), export.serving.providers.open_session

    def found(model, provider, *, weights=None, **settings):
        if provider != "cpu":
            return real(model, provider, weights=weights, **settings)
        files = [model, *sorted(model.parent.glob("*.safetensors"))]
        asked = (*(file.read_bytes() for file in files), weights is None, repr(settings), os.getpid())
        if asked not in kept:
            kept[asked] = real(model, provider, weights=weights, **settings)
        kept.move_to_end(asked)
        if len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        return kept[asked]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.serving.onnx_sessions, "open_session", found)
        yield


@pytest.fixture
def opened_anew(monkeypatch):
    """Graphs are opened whenever somebody opens them, as they are for users."""
    monkeypatch.setattr(export.serving.onnx_sessions, "open_session", export.serving.providers.open_session)


# One of the semantics is enough for the quick tests: what they share is nearly all of an export.
@pytest.fixture(scope="session", params=[pytest.param("julia", marks=pytest.mark.slow), "paper"])
def config(request):
    return Config(**SIZES, semantics={"julia": JULIA, "paper": PAPER}[request.param])


@pytest.fixture(scope="session")
def model(config):
    return trained_looking(config)


@pytest.fixture(scope="session")
def checkpoint(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(model, folder, Vocabulary(WORDS))
    return folder


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory):
    """An export with everything in it. Tests that change files work on a copy."""
    from export import export_checkpoint

    folder = tmp_path_factory.mktemp("export") / "model"
    export_checkpoint(checkpoint, folder, int8=True)
    return folder


@pytest.fixture
def export_of(tmp_path):
    """Export a model of the shared sizes with some of them changed: (model, folder).

    Its golden vector is empty unless asked for: it takes two thirds of an export's time, and few tests read it.
    """
    from export import export_checkpoint

    def export(config, options=None, golden=False, **changes):
        config = dataclasses.replace(config, **changes)
        model = trained_looking(config)
        save_checkpoint(model, tmp_path / "checkpoint", Vocabulary(WORDS) if config.vocab == len(WORDS) else None)
        with pytest.MonkeyPatch.context() as patch:
            if not golden:
                patch.setattr("export.exporter.golden", lambda *_: "{}")
            export_checkpoint(tmp_path / "checkpoint", tmp_path / "export", **(options or {}))
        return model, tmp_path / "export"

    return export


@pytest.fixture
def sharnn(capsys, monkeypatch):
    """Run a command: (exit code, stdout, stderr)."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return ended.value.code, printed.out, printed.err

    return run
