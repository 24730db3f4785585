"""A server for some seconds under load and faults; and that a soak finds what goes wrong."""

import threading

import numpy as np
import pytest

from export import Session
from tests.bench.soak.client import PROMPT, Client
from tests.bench.soak.counts import Counts
from tests.bench.soak.run import SETTLED, Result, Sample, soak
from tests.bench.soak.twin import ROUNDING, Text, Twin, margin

SECONDS, SEED = 6, 1


@pytest.mark.slow
def test_nothing_is_lost_or_wrong(served, tmp_path):
    """The ten minutes are `python -m tests.bench.soak`; memory takes longer than this to tell anything."""
    result = soak(served, tmp_path, SECONDS, SEED, restarts=2)
    assert result.counts.found == {"lost": [], "wrong": []}
    assert result.counts.kinds["kill -9"] == result.counts.kinds["SIGTERM"] == 1
    assert {sample.life for sample in result.samples} == {1, 2, 3}
    assert result.counts.drawn > 0


class Standing:
    """A server that nobody ends, as a client of the soak sees it."""

    life, ending = 1, ""

    def __init__(self, url):
        self.url = url

    def where(self):
        return self.life, self.url


@pytest.fixture
def client(serving, served, tmp_path):
    """A client of a server in this process, whose engine tests spoil."""
    with serving(state=tmp_path, max_prompt_bytes=PROMPT) as server:
        made = Client(Standing(server.url), Session.load(served, threads=1), Counts(), "seed")
        made.server, made.counts = server, made._counts
        yield made
        made._http.close()


def test_a_sound_server_is_not_accused(client):
    stop = threading.Event()
    timer = threading.Timer(1, stop.set)
    timer.start()
    client.run(stop)
    timer.join()
    assert client.counts.found == {"lost": [], "wrong": []}
    assert client.counts.drawn > 0
    assert client.server.status()["sequences"] == 0


def test_a_state_that_is_lost_is_found(client):
    client._do(client._open)
    [(id, _)] = client._living.items()
    engine = client.server.engine
    engine.fork = lambda number: engine.open()
    client._do(client._fork)
    del client._living[id]
    client._do(client._generate)
    [sentence] = client.counts.found["wrong"]
    assert sentence.startswith("_generate")


def test_a_state_that_is_slightly_other_is_found(client):
    client._do(client._open)
    engine = client.server.engine
    [number] = engine.sequences
    layers = [(h + np.float32(0.01), c, memory) for h, c, memory in engine.state(number)]
    continuation = engine._sequences[number].continuation
    engine.set_state(number, layers)
    engine._sequences[number].continuation = continuation
    client._do(client._generate)
    client._do(client._generate)
    assert len(client.counts.found["wrong"]) == 1


def test_snapshots_and_sequences_that_are_gone_are_lost(client, tmp_path):
    client._do(client._open)
    client._do(client._save)
    for file in tmp_path.glob("*.safetensors"):
        file.unlink()
    client._do(client._check_saved)
    client.server.client.delete(f"/v1/sequences/{next(iter(client._living), 'none')}")
    client._do(client._open)
    client.server.client.delete(f"/v1/sequences/{next(iter(client._living))}")
    client._do(client._generate)
    snapshot, sequence = client.counts.found["lost"]
    assert "was acknowledged" in snapshot
    assert "404" in sequence


def test_a_fault_that_is_answered_as_if_it_were_none_is_wrong(client):
    client._post = lambda *_, **__: 500
    client._raw = lambda *_, **__: 500
    client._do(client._malformed)
    client._do(client._oversized)
    assert [sentence.endswith("answered with 500") for sentence in client.counts.found["wrong"]] == [True, True]


def test_a_connection_that_breaks_without_a_fault_is_wrong(client):
    client._url = "http://127.0.0.1:1"
    client._do(lambda: client._raw(b""))
    [sentence] = client.counts.found["wrong"]
    assert "nothing was ended" in sentence


def test_rounding_is_an_excuse_only_where_a_draw_is_near_another():
    logits = np.array([0.0, 0.0, -1.0])
    assert margin(logits, 0.2) == 0.0  # of two that are equally likely, either may come first
    logits = np.log([0.5, 0.3, 0.2])
    assert margin(logits, 0.5 + ROUNDING / 2) < ROUNDING
    assert margin(logits, 0.8 - ROUNDING / 2) < ROUNDING
    assert margin(logits, 0.4) > 0.09


def test_texts_are_compared_by_how_likely_they_were(served):
    twin = Twin.fresh(Session.load(served, threads=1))
    twin.read("the quick")
    fork = twin.fork()
    text, again = twin.draw(6, 3), fork.draw(3, 3)
    assert text.begins_with(again)
    assert not text.is_as(again)
    assert Text(again.text + fork.draw(3, None).text, text.logprobs).is_as(text)  # it goes on as if it had not stopped
    assert not Text(text.text, [x + 1e-3 for x in text.logprobs]).is_as(text)
    assert twin.fed == len("the quick") + 6


def test_growth_and_slope_are_of_the_settled_part():
    parts = np.linspace(0, 1, 101)
    samples = [Sample(part, 1, int(2000 * part), int(5e6 * (part >= SETTLED) * part), 7) for part in parts]
    result = Result(1.0, Counts(), samples)
    assert result.slope == pytest.approx(2.5e6, rel=1e-3)
    assert result.growth("memory") == pytest.approx(5e6 * 0.27, rel=0.05)
    assert result.growth("files") == 0


def test_a_seed_that_is_given_again_goes_on_where_it_was(served):
    twin = Twin.fresh(Session.load(served, threads=1))
    twin.read("the quick")
    whole = twin.fork().draw(6, 3)
    parts = [twin.draw(3, 3) for _ in range(2)]
    assert Text("".join(part.text for part in parts), parts[0].logprobs + parts[1].logprobs).is_as(whole)
