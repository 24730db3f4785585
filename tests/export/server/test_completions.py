"""Texts by HTTP are those of a lone session, however many are generated at once."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from export import Session
from tests.export.server.conftest import BOTH, wait_until

pytestmark = BOTH

PROMPTS = ("the quick brown fox", "a", "lazy dogs\nare", "jumps over it and over it again")


@pytest.fixture(scope="module")
def alone(served):
    return lambda prompt, n, **how: "".join(Session.load(served, threads=1).generate(prompt, n, **how))


def test_texts_side_by_side_are_those_of_lone_sessions(server, alone):
    asked = [(prompt, seed, 10 + 7 * seed) for seed in range(3) for prompt in PROMPTS]

    def complete(of):
        prompt, seed, n = of
        return server.given("/v1/completions", prompt=prompt, seed=seed, max_tokens=n, temperature=0.9)

    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(complete, asked))
    for (prompt, seed, n), answer in zip(asked, found, strict=True):
        (choice,) = answer["choices"]
        assert choice["text"] == alone(prompt, n, seed=seed, temperature=0.9)
        assert choice["finish_reason"] == "length"
        assert answer["usage"] == {
            "prompt_tokens": len(prompt), "completion_tokens": n, "total_tokens": len(prompt) + n
        }  # fmt: skip
    assert server.status()["active"] == server.status()["waiting"] == server.status()["sequences"] == 0
    wait_until(lambda: server.engine.sequences == ())


def test_a_stream_has_the_same_text_and_ends(server):
    asked = dict(prompt=list(PROMPTS), n=2, max_tokens=12, echo=True, seed=4, top_k=5)
    whole = server.given("/v1/completions", **asked)
    *events, done = server.events("/v1/completions", **asked, stream_options={"include_usage": True})
    assert done == "[DONE]"
    *pieces, last = map(json.loads, events)
    assert last["usage"] == whole["usage"]
    assert last["choices"] == []
    for choice in whole["choices"]:
        ours = [piece["choices"][0] for piece in pieces if piece["choices"][0]["index"] == choice["index"]]
        assert "".join(piece["text"] for piece in ours) == choice["text"]
        assert [piece.get("finish_reason") for piece in ours] == [None] * (len(ours) - 1) + ["length"]


def test_choices_have_seeds_of_their_own_and_share_their_prompt(server, alone):
    before = server.status()["tokens"]
    choices = server.given("/v1/completions", prompt=PROMPTS[0], n=3, max_tokens=9, seed=7)["choices"]
    assert [choice["text"] for choice in choices] == [alone(PROMPTS[0], 9, seed=seed) for seed in (7, 8, 9)]
    assert len({choice["text"] for choice in choices}) > 1
    assert server.status()["tokens"] - before == len(PROMPTS[0]) + 3 * 9


def test_a_text_ends_before_what_stops_it(server, alone):
    text = alone(PROMPTS[0], 40, seed=1)
    stop = text[20:23]
    (choice,) = server.given("/v1/completions", prompt=PROMPTS[0], max_tokens=40, seed=1, stop=stop)["choices"]
    assert choice == {**choice, "text": text[: text.index(stop)], "finish_reason": "stop"}


def test_log_probabilities_are_those_of_the_score(server, served):
    text = "the lazy dog"
    answer = server.given("/v1/completions", prompt=text, max_tokens=0, echo=True, logprobs=3)
    (choice,) = answer["choices"]
    told = choice["logprobs"]
    assert choice["text"] == "".join(told["tokens"]) == text
    assert told["text_offset"] == list(range(len(text)))
    assert told["token_logprobs"][0] is None
    assert told["top_logprobs"][0] is None
    session = Session.load(served, threads=1)
    logits = session.prefill(session._encode(text, "text")[:, None])[:, 0].astype(float)
    for place, (logprob, top) in enumerate(zip(told["token_logprobs"][1:], told["top_logprobs"][1:], strict=True)):
        row = logits[place] - logits[place].max()
        expected = row[session._encode(text, "text")[place + 1]] - math.log(sum(map(math.exp, row)))
        assert logprob == pytest.approx(expected, rel=1e-5)  # of float32 logits of order 1
        assert len(top) == 3
        assert max(top.values()) >= logprob - 1e-12
        assert list(top.values()) == sorted(top.values(), reverse=True)


def test_a_prompt_of_ids_is_the_text_of_these_ids(server):
    given = {"max_tokens": 8, "seed": 2}
    text = server.given("/v1/completions", prompt="abc", **given)["choices"][0]["text"]
    ids = [3 + "abcdefghijklmnopqrstuvwxyz".index(letter) for letter in "abc"]
    assert [each["text"] for each in server.given("/v1/completions", prompt=[ids, ids], **given)["choices"]] == [
        text
    ] * 2
    assert server.given("/v1/completions", prompt=ids, **given)["choices"][0]["text"] == text


def test_the_model_is_listed(server, served):
    (model,) = server.client.get("/v1/models").json()["data"]
    assert model["id"] == "model"
    assert model["identity"] == Session.load(served).identity
    assert server.client.get("/v1/models/model").json() == model
    assert server.client.get("/v1/models/other").status_code == 404


def test_a_score_is_that_of_sharnn_score(server, served):
    text = "the quick brown fox\njumps over the lazy dog " * 30  # more than a segment
    score = Session.load(served, threads=1).score(text)
    found = server.given("/v1/score", text=text)
    assert found["nats"] == pytest.approx(score.nats, rel=1e-6)  # summed in another order, in float64
    assert found["bits_per_byte"] == pytest.approx(score.bits_per_byte, rel=1e-6)
    assert (found["tokens"], found["bytes"]) == (score.tokens, score.bytes)


def test_metrics_count_what_was_fed(server):
    def read():
        lines = [line.rsplit(" ", 1) for line in server.client.get("/metrics").text.splitlines() if line[0] != "#"]
        return {name: float(value) for name, value in lines}

    before = read()
    server.given("/v1/completions", prompt="abcd", max_tokens=6)
    after = read()
    for kind, count in (("prompt", 4), ("generated", 6)):
        name = f'sharnn_tokens_total{{kind="{kind}"}}'
        assert after[name] - before[name] == count
    assert after["sharnn_slots"] == 4
    assert after['sharnn_requests_total{method="POST",route="/v1/completions",status="200"}'] >= 1
    assert after["sharnn_first_token_seconds_count"] - before["sharnn_first_token_seconds_count"] == 1
