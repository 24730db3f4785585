"""One client of the soak: it has sequences and snapshots, and knows for each what must come of it."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from export import Session
from tests.bench.soak.counts import Counts
from tests.bench.soak.served import Served
from tests.bench.soak.twin import Text, Twin

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "and", "runs", "home"]
SEQUENCES, SNAPSHOTS = 4, 6
"""The most that a client keeps."""
PROMPT = 2048
"""Bytes of text that the server takes."""
BURST = 32
"""Texts that are asked for at once to overload it."""
WAIT_SECONDS = 60


class Unexpected(Exception):
    """An answer that should be another."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


class Client:
    """Calls the server until it is told to end; what goes wrong is counted."""

    def __init__(self, served: Served, session: Session, counts: Counts, seed: str) -> None:
        self._served, self._session, self._counts = served, session, counts
        self._random = random.Random(seed)
        self._living: dict[str, Twin] = {}
        self._saved: dict[str, Twin] = {}
        self._life, self._url = served.where()
        self._http = connected(self._url)
        self._begun = False
        """Whether a stream has begun and has not ended."""
        self._acts: dict[Callable[[], None], int] = {
            self._open: 2, self._append: 3, self._generate: 6, self._stream: 4, self._fork: 2, self._delete: 1,
            self._save: 3, self._restore: 2, self._carry: 1, self._complete: 2, self._forget: 1,
            self._vanish: 4, self._read_slowly: 1, self._malformed: 3, self._oversized: 1, self._overload: 1,
        }  # fmt: skip

    def run(self, stop: threading.Event) -> None:
        """Go on until then, and close all sequences."""
        while not stop.is_set():
            [act] = self._random.choices(list(self._acts), list(self._acts.values()))
            self._do(act)
        self._do(self._close_all)
        self._http.close()

    def _do(self, act: Callable[[], None]) -> None:
        self._begun = False
        try:
            act()
        except Unexpected as error:
            self._counts.wrong(error.kind, f"{act.__name__}: {error}")
            self._living.clear()  # what became of them is not known
        except httpx.TransportError as error:
            ending = self._served.ending or ("drain or kill" if self._served.life != self._life else "")
            if not ending:
                self._counts.wrong("wrong", f"{act.__name__}: {type(error).__name__}: {error}, and nothing was ended")
                self._living.clear()
                return
            if self._begun and ending == "drain":
                self._counts.wrong("wrong", f"{act.__name__}: SIGTERM cut a stream that had begun")
            self._recover()

    def _recover(self) -> None:
        """After a new start: sequences are gone, and every snapshot that was acknowledged is there and right."""
        self._http.close()
        self._life, self._url = self._served.where()
        self._http = connected(self._url)
        self._living.clear()
        self._do(self._check_saved)

    def _check_saved(self) -> None:
        there = {each["id"] for each in self._ask("GET", "/v1/snapshots")["data"]}
        for snapshot, twin in list(self._saved.items()):
            if snapshot not in there:
                del self._saved[snapshot]
                raise Unexpected("lost", f"snapshot {snapshot} was acknowledged, and is not there")
            self._counts.count("snapshots after a new start")
            opened = self._ask("POST", "/v1/sequences", json={"snapshot": snapshot})["id"]
            self._check(opened, twin.fork(0), 5)
            self._ask("DELETE", f"/v1/sequences/{opened}")

    # What sequences are for.

    def _open(self) -> None:
        if len(self._living) >= SEQUENCES:
            self._delete()
        text, begin = self._text(), {}
        twin = Twin.fresh(self._session)
        if self._saved and self._random.random() < 0.3:
            begin["snapshot"], twin = self._one(self._saved)
            twin = twin.fork(0)
        twin.read(text)
        self._living[self._ask("POST", "/v1/sequences", json={**begin, "text": text})["id"]] = twin

    def _append(self) -> None:
        id, twin = self._any()
        text = self._text()
        told = self._ask("POST", f"/v1/sequences/{id}/append", json={"text": text})
        twin.read(text)
        self._agree("tokens", told["tokens"], twin.fed)

    def _generate(self) -> None:
        id, twin = self._any()
        self._check(id, twin, self._random.randint(1, 16))

    def _stream(self, seconds: float = 0.0) -> None:
        id, twin = self._any()
        n, seed = self._random.randint(1, 16), self._seed(twin)
        pieces = list(self._events(id, {"max_tokens": n, **seed}, pause=seconds / n))
        self._same(id, twin, joined(pieces), n, seed.get("seed"))

    def _fork(self) -> None:
        if len(self._living) >= SEQUENCES:
            self._delete()
        id, twin = self._any()
        self._living[self._ask("POST", f"/v1/sequences/{id}/fork")["id"]] = twin.fork()
        self._counts.count("forks")

    def _delete(self) -> None:
        if self._living:
            id, _ = self._one(self._living)
            del self._living[id]
            self._ask("DELETE", f"/v1/sequences/{id}")
            self._counts.count("deletes")

    def _save(self) -> None:
        if len(self._saved) >= SNAPSHOTS:
            self._forget()
        id, twin = self._any()
        self._saved[self._ask("POST", f"/v1/sequences/{id}/snapshot")["id"]] = twin.fork()
        self._counts.count("snapshots")

    def _restore(self) -> None:
        if not self._saved:
            self._save()
        (id, _), (snapshot, twin) = self._any(), self._one(self._saved)
        self._ask("POST", f"/v1/sequences/{id}/restore", json={"snapshot": snapshot})
        self._living[id] = twin.fork(0)
        self._counts.count("restores")

    def _carry(self) -> None:
        """A snapshot goes by this client and comes back as another."""
        if not self._saved:
            self._save()
        if len(self._saved) >= SNAPSHOTS:
            self._forget()
        snapshot, twin = self._one(self._saved)
        data = self._got("GET", f"/v1/snapshots/{snapshot}").content
        self._saved[self._ask("POST", "/v1/snapshots", content=data)["id"]] = twin.fork()

    def _forget(self) -> None:
        if self._saved:
            snapshot, _ = self._one(self._saved)
            del self._saved[snapshot]
            self._ask("DELETE", f"/v1/snapshots/{snapshot}")

    def _complete(self, n: int = 8) -> None:
        text, seed = self._text(), self._random.randrange(1000)
        told = self._ask("POST", "/v1/completions", json={"prompt": text, "max_tokens": n, "seed": seed, "logprobs": 0})
        twin = Twin.fresh(self._session)
        twin.read(text)
        self._same("a completion", twin, text_of(told["choices"][0]), n, seed)

    # Faults.

    def _vanish(self) -> None:
        """Leave in the middle of a stream. What was drawn until the server notices belongs to the sequence."""
        id, twin = self._any()
        seed, read = self._seed(twin), self._random.randint(0, 5)
        pieces: list[Text] = []
        for piece in self._events(id, {"max_tokens": 500, **seed}):
            pieces.append(piece)
            if len(pieces) > read:
                break
        self._begun = False  # whoever cut it was this client
        self._counts.count("clients that left")
        deadline = time.monotonic() + WAIT_SECONDS
        while (told := self._ask("GET", f"/v1/sequences/{id}"))["busy"]:
            if time.monotonic() > deadline:
                raise Unexpected("lost", f"{id} is busy long after its client left")
            time.sleep(0.05)
        expected = twin.draw(told["tokens"] - twin.fed, seed.get("seed"))
        if not expected.begins_with(joined(pieces)):
            self._differs(id, twin, joined(pieces), expected)
        elif twin.narrow:
            self._part(id)  # at a token that was not read it may have gone the other way

    def _read_slowly(self) -> None:
        self._stream(2.0)
        self._counts.count("slow readers")

    def _malformed(self) -> None:
        way = self._random.choice([
            lambda: self._post("/v1/completions", content=b'{"prompt": '),
            lambda: self._post("/v1/completions", content=bytes(self._random.choices(range(256), k=50))),
            lambda: self._post("/v1/completions", json={"prompt": 5, "max_tokens": "many"}),
            lambda: self._post("/v1/completions", json={"prompt": "the", "max_tokens": -1}),
            lambda: self._post("/v1/completions", json={"prompt": "the", "no such field": 1}),
            lambda: self._post("/v1/sequences/seq_none/generate", json={}),
            lambda: self._post("/v1/sequences", json={"snapshot": "../../etc/passwd"}),
            lambda: self._post("/v1/snapshots", content=b"no snapshot"),
            lambda: self._raw(b"NONSENSE\r\n\r\n"),
            lambda: self._raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", True),
        ])  # fmt: skip
        self._refused(way(), "malformed requests")

    def _oversized(self) -> None:
        way = self._random.choice([
            lambda: self._post("/v1/completions", json={"prompt": "a" * (PROMPT + 1)}),
            lambda: self._post("/v1/sequences", json={"text": "a" * (PROMPT + 1)}),
            lambda: self._raw(b"POST /v1/snapshots HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n"),
        ])  # fmt: skip
        self._refused(way(), "oversized bodies", (413,))

    def _overload(self) -> None:
        text = self._text()

        def ask(seed: int) -> httpx.Response:
            body = {"prompt": text, "max_tokens": 4, "seed": seed, "logprobs": 0}
            return self._http.post("/v1/completions", json=body)

        with ThreadPoolExecutor(BURST) as pool:
            answers = list(pool.map(ask, range(BURST)))
        self._counts.requests(BURST)
        for seed, answer in enumerate(answers):
            if answer.status_code == 429:
                self._counts.count("refused with 429")
            elif answer.status_code == 200:
                twin = Twin.fresh(self._session)
                twin.read(text)
                self._same("a text of a burst", twin, text_of(answer.json()["choices"][0]), 4, seed)
            else:
                raise Unexpected("wrong", f"of a burst one text was answered with {answer.status_code}: {answer.text}")

    # How it is asked and compared.

    def _check(self, id: str, twin: Twin, n: int) -> None:
        seed = self._seed(twin)
        told = self._ask("POST", f"/v1/sequences/{id}/generate", json={"max_tokens": n, "logprobs": 0, **seed})
        self._same(id, twin, text_of(told), n, seed.get("seed"))

    def _same(self, id: str, twin: Twin, text: Text, n: int, seed: int | None) -> None:
        expected = twin.draw(n, seed)
        self._counts.tokens(n)
        if not text.is_as(expected):
            self._differs(id, twin, text, expected)

    def _differs(self, id: str, twin: Twin, text: Text, expected: Text) -> None:
        """Wrong, unless a draw was so near to another that rounding decides; then the two part, and it is closed."""
        if not twin.narrow:
            raise Unexpected("wrong", f"{id} went on with {text}, and a session alone with {expected}")
        self._part(id)

    def _part(self, id: str) -> None:
        self._counts.count("draws that rounding decided, or may have")
        if self._living.pop(id, None) is not None:
            self._ask("DELETE", f"/v1/sequences/{id}")

    def _agree(self, what: str, told: Any, expected: Any) -> None:
        if told != expected:
            raise Unexpected("wrong", f"{what}: {told}, where {expected} was expected")

    def _close_all(self) -> None:
        for id in list(self._living):
            del self._living[id]
            self._ask("DELETE", f"/v1/sequences/{id}")

    def _seed(self, twin: Twin) -> dict[str, int]:
        """A seed to draw with; none at times, where a text can be gone on with as if it had never stopped."""
        return {} if twin.drew and self._random.random() < 0.5 else {"seed": self._random.randrange(1000)}

    def _text(self) -> str:
        return " ".join(self._random.choices(WORDS, k=self._random.randint(1, 12)))

    def _one(self, of: dict[str, Twin]) -> tuple[str, Twin]:
        return self._random.choice(list(of.items()))

    def _any(self) -> tuple[str, Twin]:
        """A sequence, which is opened if there is none."""
        if not self._living:
            self._open()
        return self._one(self._living)

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        return self._got(method, path, **how).json()

    def _got(self, method: str, path: str, **how: Any) -> httpx.Response:
        """The answer of a request, which is asked again while the server is full."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            answer = self._http.request(method, path, **how)
            self._counts.requests(1)
            if answer.is_success:
                return answer
            if answer.status_code != 429 or time.monotonic() > deadline:
                break
            self._counts.count("refused with 429")
            time.sleep(0.1 + 0.2 * self._random.random())
        kind = "lost" if answer.status_code == 404 else "wrong"
        raise Unexpected(kind, f"{method} {path} was answered with {answer.status_code}: {answer.text[:300]}")

    def _events(self, id: str, body: dict[str, Any], pause: float = 0.0) -> Iterator[Text]:
        """The pieces of a stream, which ends as it should unless its reader leaves before."""
        with self._opened(f"/v1/sequences/{id}/generate", {**body, "stream": True, "logprobs": 0}) as answer:
            last = ""
            for line in answer.iter_lines():
                if not line:
                    continue
                last = line.removeprefix("data: ")
                if last != "[DONE]":
                    event = json.loads(last)
                    if "error" in event:
                        raise Unexpected("wrong", f"a stream of {id} ended with {event['error']}")
                    yield text_of(event)
                    time.sleep(pause)
            self._begun = False
            if last != "[DONE]":
                raise Unexpected("wrong", f"a stream of {id} ended with {last!r}")

    @contextmanager
    def _opened(self, path: str, body: dict[str, Any]) -> Iterator[httpx.Response]:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with self._http.stream("POST", path, json=body) as answer:
                self._counts.requests(1)
                if answer.status_code == 200:
                    self._begun = True
                    yield answer
                    return
                told = answer.read().decode(errors="replace")
                if answer.status_code != 429 or time.monotonic() > deadline:
                    kind = "lost" if answer.status_code == 404 else "wrong"
                    raise Unexpected(kind, f"POST {path} was answered with {answer.status_code}: {told[:300]}")
            self._counts.count("refused with 429")
            time.sleep(0.2)

    def _post(self, path: str, **how: Any) -> int:
        headers = {"Content-Type": "application/json"} if "content" in how else {}
        return self._http.post(path, headers=headers, **how).status_code

    def _raw(self, data: bytes, leave: bool = False) -> int:
        """The status of what is no request of a client's; of one that leaves in its midst, 400 for none."""
        address = urlsplit(self._url)
        try:
            with socket.create_connection((address.hostname, address.port), WAIT_SECONDS) as connection:
                connection.sendall(data)
                told = b"HTTP/1.1 400" if leave else connection.recv(1000)
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        if not told:
            raise httpx.ReadError("the connection was closed without an answer")
        return int(told.split()[1])

    def _refused(self, status: int, what: str, expected: tuple[int, ...] = (400, 404, 405, 413, 422)) -> None:
        self._counts.requests(1)
        self._counts.count(what)
        if status not in expected and status != 429:
            raise Unexpected("wrong", f"{what}: answered with {status}")


def text_of(told: dict[str, Any]) -> Text:
    """A text as the server tells it, with what its tokens' log probabilities were."""
    return Text(told["text"], (told.get("logprobs") or {}).get("token_logprobs", []))


def joined(pieces: list[Text]) -> Text:
    """A text of its pieces."""
    return Text("".join(piece.text for piece in pieces), [x for piece in pieces for x in piece.logprobs])


def connected(url: str) -> httpx.Client:
    """A client of the server there; without the certificates, which take longer to read than some requests."""
    return httpx.Client(base_url=url, timeout=WAIT_SECONDS, verify=False)
