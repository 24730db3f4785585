"""What a server refuses, with which status and which sentence; and that it is there for the others."""

import json
import re
import socket
import threading
import time

import pytest

from export.server import connection, guard
from export.server.guard import is_local
from tests.export.server.conftest import wait_until

ABC = [3, 4, 5]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": []}, "give at least one text"),
        ({"prompt": ["a", ""]}, "the prompt is empty"),
        ({"prompt": "\u00e9"}, "byte 195 .* is not in the vocabulary"),
        ({"prompt": [0, 29]}, "ids run from 0 to 29; .* they must be 0 to 28"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": [1.5]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({}, "prompt: Field required"),
        ({"prompt": "a", "max_tokens": -1}, "max_tokens: .* greater than or equal to 0"),
        ({"prompt": "a", "max_tokens": 5000}, "max_tokens is 5,000; this server draws at most 4,096"),
        ({"prompt": "a", "max_tokens": "5"}, "max_tokens"),
        ({"prompt": "a", "temperature": -0.1}, "temperature"),
        ({"prompt": "a", "temperature": "hot"}, "temperature"),
        ({"prompt": "a", "top_p": 0}, "top_p"),
        ({"prompt": "a", "top_k": 0}, "top_k"),
        ({"prompt": "a", "n": 0}, "n: "),
        ({"prompt": ["a"] * 100}, "more than the 68 that can wait"),
        ({"prompt": "a", "stop": ""}, "stop"),
        ({"prompt": "a", "stop": ["a", ""]}, "stop"),
        ({"prompt": "a", "seed": -1}, "seed"),
        ({"prompt": "a", "seed": 2**64}, "seed"),
        ({"prompt": "a", "presence_penalty": 1}, "presence_penalty"),
        ({"prompt": "a", "max_token": 5}, "max_token: Extra inputs are not permitted"),
    ],
    ids=repr,
)
def test_a_request_that_cannot_be_answered_is_400_and_a_sentence(server, body, said):
    answer = server.post("/v1/completions", **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == 400
    assert re.search(said, error["message"]), error["message"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"prompt": "a"', "not JSON"),
        (b"", "has to be a JSON object"),
        (b"[1]", "has to be a JSON object"),
        (b"\xff\xfe", "not JSON"),
        (b'{"prompt": "\\ud800"}', "half a surrogate pair"),
        (b'{"prompt": "a", "model": "\\ud800"}', "half a surrogate pair"),
        (b'{"prompt": "a", "temperature": NaN}', "temperature: Input should be a finite number"),
        (b'{"prompt": "a", "temperature": 1e999}', "temperature"),
        (b'{"prompt": ' + b"[" * 3000 + b"]" * 3000 + b"}", "body"),
    ],
)
def test_what_is_no_request_is_400_and_a_sentence(server, content, said):
    answer = server.client.post("/v1/completions", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]


def test_json_under_another_name_is_said_to_need_its_own(server):
    answer = server.client.post("/v1/completions", content=b'{"prompt": "a"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/completions", 405),
        ("GET", "/v1/sequences/../../etc/passwd", 404),
        ("GET", "/assets/../app.py", 404),
        ("GET", "/v1/snapshots/..%2f..%2fetc%2fpasswd", 404),
        ("GET", f"/v1/snapshots/{'0' * 32}", 404),
        ("DELETE", "/v1/sequences/seq_0", 404),
        ("POST", "/v1/sequences/seq_0/fork", 404),
    ],
)
def test_what_is_not_there_is_said_so(server, method, path, status):
    answer = server.client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_another_models_snapshot_is_refused(server, tmp_path):
    path = tmp_path / "state"
    sequence = server.engine.open()
    try:
        server.engine.feed(sequence, ABC)
        server.engine.save_state(sequence, path)
    finally:
        server.engine.close(sequence)
    data = path.read_bytes()
    for content, said in (
        (data.replace(server.engine.identity.encode(), b"0" * 64), "state of another model"),
        (data[:-8], "the snapshot cannot be read as a saved state"),
        (b"\x80\x04." * 50, "the snapshot cannot be read as a saved state"),  # a pickle
        (b"", "body is empty"),
    ):
        answer = server.client.post("/v1/snapshots", content=content)
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]
    assert server.client.get("/v1/snapshots").json() == {"data": []}


@pytest.mark.slow
def test_what_is_too_long_is_413(serving):
    with serving(max_prompt_bytes=100) as server:
        for body in ({"prompt": "a" * 101}, {"prompt": [2] * 101}, {"prompt": ["a", "a" * 101]}):
            answer = server.post("/v1/completions", **body)
            assert answer.status_code == 413
            assert "this server takes 100" in answer.json()["error"]["message"]
        most = 6 * 100 + (64 << 10)
        answer = server.post("/v1/completions", prompt="a", user="u" * most)
        assert answer.status_code == 413
        assert f"longer than the {most:,} bytes" in answer.json()["error"]["message"]
        chunks = (b" " * 1000 for _ in range(most))  # of unknown length, and endless as far as the server knows
        answer = server.client.post("/v1/completions", content=chunks, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert server.given("/v1/completions", prompt="a" * 100)


def test_a_full_server_says_when_to_try_again(serving):
    with serving(slots=1, queue=1) as server:
        path = f"/v1/sequences/{server.given('/v1/sequences', text='abc')['id']}/generate"
        with server.client.stream("POST", path, json={"max_tokens": 4096, "stream": True}) as busy:
            assert busy.status_code == 200
            waiting = threading.Thread(target=server.post, args=["/v1/completions"], kwargs={"prompt": "a"})
            waiting.start()
            wait_until(lambda: server.status()["waiting"] == 1)
            answer = server.post("/v1/completions", prompt="a")
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "1"
            assert server.client.get("/health").status_code == 200
        waiting.join(20)
        assert server.given("/v1/completions", prompt="a")


def test_no_more_sequences_are_kept_than_said(serving):
    with serving(max_sequences=2) as server:
        first, _ = (server.given("/v1/sequences", text="abc")["id"] for _ in range(2))
        for path in ("/v1/sequences", f"/v1/sequences/{first}/fork"):
            answer = server.client.post(path, json={})
            assert answer.status_code == 429
            assert "Retry-After" in answer.headers
        assert server.client.delete(f"/v1/sequences/{first}").status_code == 200
        server.given("/v1/sequences")


@pytest.mark.slow
def test_a_request_has_its_time(serving):
    with serving(max_seconds=1, max_tokens=10**6) as server:
        answer = server.post("/v1/completions", prompt="a", max_tokens=10**6)
        assert answer.status_code == 504
        assert "took more than 1 seconds" in answer.json()["error"]["message"]
        *_, error, _ = server.events("/v1/completions", prompt="a", max_tokens=10**6)
        assert json.loads(error)["error"]["code"] == 504
        wait_until(lambda: server.status()["active"] == 0)
        wait_until(lambda: server.engine.sequences == ())


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_slot(serving, stream):
    with serving(slots=1, max_tokens=10**6) as server:
        body = json.dumps({"prompt": "abc", "max_tokens": 10**6, "stream": stream}).encode()
        with server.connect() as client:
            client.sendall(
                b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            wait_until(lambda: server.status()["active"] == 1)
        wait_until(lambda: server.status()["active"] == 0)
        wait_until(lambda: server.engine.sequences == ())
        assert server.given("/v1/completions", prompt="a")


@pytest.mark.slow
def test_a_reader_that_does_not_read_stalls_nobody_and_is_left(serving):
    with serving(slots=2, max_seconds=3) as server, server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        body = json.dumps({"prompt": "abc", "max_tokens": 4096, "stream": True, "logprobs": 20}).encode()
        client.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        wait_until(lambda: server.status()["active"] == 1)
        assert len(server.given("/v1/completions", prompt="a", max_tokens=30)["choices"]) == 1
        wait_until(lambda: server.engine.sequences == ())


def test_a_head_that_does_not_arrive_is_408(serving, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    with serving() as server:
        for sent in (b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "):
            with server.connect() as client:
                client.sendall(sent)
                assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        with server.connect() as client:  # and of a later request of the same connection
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while not received.endswith(b'{"status":"ok"}'):
                received += client.recv(1000)
            time.sleep(0.5)
            client.sendall(b"GET /hea")
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_does_not_arrive_is_408(serving, monkeypatch):
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    with serving() as server, server.connect() as client:
        client.sendall(
            b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99\r\n\r\n{"
        )
        answer = client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_keys_are_wanted_where_there_are_some(serving):
    with serving(keys=("first-key", "second-key")) as server:
        for given in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "first-key"},
        ):
            for path in ("/v1/models", "/v1/status", "/metrics", "/v1/nowhere"):
                answer = server.client.get(path, headers=given)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        for key in ("first-key", "second-key"):
            assert server.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert {server.client.get(path).status_code for path in ("/", "/health", "/docs", "/openapi.json")} == {200}


def test_only_this_machines_names_lead_to_a_server_without_keys(server):
    for host in ("localhost", "LOCALHOST:80", "127.0.0.1:8000", "127.1.2.3", "[::1]", "[::1]:8000"):
        assert is_local(host)
        assert server.client.get("/v1/status", headers={"Host": host}).status_code == 200
    for host in ("example.org", "localhost.example.org", "10.0.0.1", "", "[fe80::1]:80", "127.0.0.1.example.org"):
        assert not is_local(host)
        assert server.client.get("/v1/status", headers={"Host": host or "none"}).status_code == 421


def test_a_device_that_fails_is_said_by_all(serving, monkeypatch):
    with serving() as server:

        def fail(*_):
            raise RuntimeError("the device is gone")

        monkeypatch.setattr(server.engine, "step", fail)
        answer = server.post("/v1/completions", prompt="a")
        assert answer.status_code == 503
        assert "the device is gone" in answer.json()["error"]["message"]
        assert server.post("/v1/score", text="a").status_code == 503
        assert server.client.get("/health").status_code == 503
