"""SHA-RNN.jl's source: taken where it is given, fetched once where it is not, and never anything else."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from julia_bridge.sharnn import upstream
from julia_bridge.sharnn.upstream import SHA256, UpstreamError, model_source

TEXT = b"# stands for SHA-RNN.jl's model.jl in these tests\n"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SHARNN_JULIA_DIR", str(tmp_path / "folder"))
    monkeypatch.delenv("SHARNN_JL_PATH", raising=False)


@pytest.fixture
def text_is_upstream(monkeypatch):
    monkeypatch.setattr(upstream, "SHA256", hashlib.sha256(TEXT).hexdigest())


@pytest.fixture
def repository(monkeypatch):
    """A server in the repository's place. `answers` is what it serves, `asked` how often it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked += 1
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(server.answers)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answers, server.status = 0, TEXT, 200
    monkeypatch.setattr(upstream, "URL", f"http://127.0.0.1:{server.server_port}/src/model.jl")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def checkout(folder: Path, text: bytes = TEXT) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "model.jl").write_bytes(text)
    return folder


@pytest.mark.usefixtures("text_is_upstream")
def test_a_given_checkout_is_used(tmp_path, repository):
    given = checkout(tmp_path / "given")
    assert model_source(given) == given / "src" / "model.jl"
    assert repository.asked == 0


@pytest.mark.usefixtures("text_is_upstream")
def test_a_given_checkout_comes_before_that_of_the_environment(tmp_path, monkeypatch):
    given, other = checkout(tmp_path / "given"), checkout(tmp_path / "other")
    monkeypatch.setenv("SHARNN_JL_PATH", str(other))
    assert model_source() == other / "src" / "model.jl"
    assert model_source(given) == given / "src" / "model.jl"


def test_another_version_is_refused_with_both_hashes(tmp_path):
    given = checkout(tmp_path / "given")
    with pytest.raises(UpstreamError) as refused:
        model_source(given)
    assert SHA256 in str(refused.value)
    assert hashlib.sha256(TEXT).hexdigest() in str(refused.value)
    assert str(given) in str(refused.value)


def test_a_folder_that_is_no_checkout_is_named(tmp_path):
    with pytest.raises(UpstreamError, match=str(tmp_path / "src" / "model.jl")):
        model_source(tmp_path)


@pytest.mark.usefixtures("text_is_upstream")
def test_it_is_fetched_once(repository):
    first = model_source()
    assert first.read_bytes() == TEXT
    assert model_source() == first
    assert repository.asked == 1


@pytest.mark.usefixtures("text_is_upstream")
def test_a_damaged_copy_is_fetched_again(repository):
    model_source().write_bytes(TEXT[:10])
    assert model_source().read_bytes() == TEXT
    assert repository.asked == 2


def test_something_else_in_the_repository_is_refused_and_not_kept(tmp_path, repository):
    with pytest.raises(UpstreamError, match=SHA256):
        model_source()
    assert not [path for path in (tmp_path / "folder").rglob("*") if path.is_file()]
    assert repository.asked == 1


def test_an_answer_that_is_an_error_says_what_to_do(repository):
    repository.status = 404
    with pytest.raises(UpstreamError, match=r"404(.|\n)*SHARNN_JL_PATH"):
        model_source()


def test_an_unreachable_repository_says_what_to_do(monkeypatch):
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as nobody:
        port = nobody.server_port
    monkeypatch.setattr(upstream, "URL", f"http://127.0.0.1:{port}/src/model.jl")
    with pytest.raises(UpstreamError, match=r"refused(.|\n)*SHARNN_JL_PATH"):
        model_source()
