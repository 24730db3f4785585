"""A real Triton server on the loopback, with an environment of its own, and its clients."""

import pytest

from export import export_checkpoint
from export.triton.repository import write_repository
from sharnn_py import PAPER, Config, SharnnError, Vocabulary, save_checkpoint
from tests.conftest import unavailable
from tests.export.conftest import SIZES, WORDS, trained_looking
from tests.export.triton.installed import Server, install, why_not

IDLE_SECONDS = 5
"""After which sequences are forgotten here."""


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """The folder of an environment with Triton and its clients, in which this project can be imported."""
    if why := why_not():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("triton") / "venv"
    try:
        install(folder)
    except SharnnError as error:
        unavailable("Triton", error)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    save_checkpoint(trained_looking(Config(**SIZES, semantics=PAPER)), folder / "checkpoint", Vocabulary(WORDS))
    export_checkpoint(folder / "checkpoint", folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def repository(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    for model in write_repository(exported, folder):
        file = model / "config.pbtxt"
        text = file.read_text().replace("600000000", str(IDLE_SECONDS * 1_000_000)).replace('"64"', '"1"')
        text = text.replace('"4096"', '"1000000"')
        file.write_text(text.replace('"slots" value { string_value: "16" }', '"slots" value { string_value: "2" }'))
    return folder


@pytest.fixture(scope="module")
def server(environment, repository, tmp_path_factory):
    server = Server(environment, repository, tmp_path_factory.mktemp("log") / "log")
    try:
        server.wait()
        yield server
    finally:
        server.close()
