"""`sharnn serve` in a process of its own: what it says, how it ends, and what outlives kill -9."""

import json
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from export.server.cli import is_loopback, keys_in
from sharnn_py import InputError
from sharnn_py.cli import main
from tests.export.server.conftest import wait_until

SHARNN = [sys.executable, "-c", "from sharnn_py.cli import main; main()", "serve"]


class Process:
    """`sharnn serve`, started, and a client of it."""

    def __init__(self, folder, *options):
        words = [*SHARNN, str(folder), "--port", "0", "--threads", "1", *map(str, options)]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        self.said = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said)
        assert found, self.said + self.process.stderr.read()
        self.client = httpx.Client(base_url=found[0], timeout=30)
        wait_until(self.answers)

    def answers(self):
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def given(self, path, **body):
        answer = self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(30), self.process.stderr.read()


@pytest.fixture
def start(served):
    started = []

    def new(*options):
        started.append(Process(served, *options))
        return started[-1]

    yield new
    for process in started:
        process.process.kill()
        process.process.wait()
        process.process.stderr.close()
        process.client.close()


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_kill_9(start, tmp_path):
    server = start("--state", tmp_path / "state")
    path = f"/v1/sequences/{server.given('/v1/sequences', text='the quick brown fox')['id']}"
    server.given(f"{path}/generate", max_tokens=5, seed=1)
    saved = server.given(f"{path}/snapshot")["id"]
    expected = server.given(f"{path}/generate", max_tokens=20)
    # Of what was being received nothing may be left that looks like a snapshot.
    data = server.client.get(f"/v1/snapshots/{saved}").content
    (incoming,) = (tmp_path / "state").glob("incoming-*")
    (incoming / "half").write_bytes(data[:100])
    server.end(signal.SIGKILL)

    server = start("--state", tmp_path / "state")
    assert [each["id"] for each in server.client.get("/v1/snapshots").json()["data"]] == [saved]
    assert server.client.get(path).status_code == 404
    path = f"/v1/sequences/{server.given('/v1/sequences', snapshot=saved)['id']}"
    assert server.given(f"{path}/generate", max_tokens=20)["text"] == expected["text"]
    assert not incoming.exists()


@pytest.mark.slow
def test_sigterm_lets_a_text_end_and_no_other_begin(start):
    server = start()
    with server.client.stream(
        "POST", "/v1/completions", json={"prompt": "a secret", "max_tokens": 1500, "stream": True}
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(server.client.base_url.port))
        events = [line.removeprefix("data: ") for line in lines if line]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["choices"][0]["finish_reason"] == "length"
    code, log = server.end(signal.SIGTERM)
    assert code in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert "Traceback" not in log
    assert "secret" not in log


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def said(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["serve", *map(str, words)])
    return ended.value.code, capsys.readouterr().err


def test_other_machines_are_let_in_with_keys_only(served, capsys):
    code, told = said(capsys, served, "--host", "0.0.0.0")
    assert code == 2
    assert "--api-key-file" in told
    assert is_loopback("localhost")
    assert is_loopback("127.0.0.1")
    assert not is_loopback("0.0.0.0")


def test_a_folder_that_is_no_export_is_said(unexported, capsys):
    code, told = said(capsys, unexported, "--port", 0)
    assert code == 3
    assert "sharnn export" in told


def test_a_port_that_is_taken_is_said(served, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, told = said(capsys, served, "--port", taken.getsockname()[1])
    assert code == 3
    assert str(taken.getsockname() if taken.fileno() >= 0 else "in use") in told or "in use" in told


def test_a_host_that_is_none_is_said(served, capsys):
    code, told = said(capsys, served, "--host", "nowhere.invalid")
    assert code == 3
    assert "nowhere.invalid" in told


@pytest.mark.parametrize("content", ["", "\n \n", "a key\n", "sch\u00f6n\n"])
def test_keys_that_no_client_can_send_are_refused(tmp_path, content):
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(InputError, match=re.escape(str(file))):
        keys_in(file)


def test_keys_are_one_a_line(tmp_path):
    file = tmp_path / "keys"
    file.write_text("one\n\n  two \r\n")
    assert keys_in(file) == ("one", "two")
