"""A real Triton server on the models of `sharnn export --triton`, driven by its own clients."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
import pytest

from export import Session
from tests.export.triton.conftest import IDLE_SECONDS

pytestmark = pytest.mark.slow
START, END = {"sequence_start": True}, {"sequence_end": True}
ATOL = 2e-5
"""Of logits of about 5, from those of a lone session; the engine's own tests allow the same rounding."""


@pytest.fixture(scope="module")
def lone(exported):
    return Session.load(exported, threads=1)


def logits_of(session, *segments):
    fresh = session.fork()
    fresh.reset()
    return [fresh.prefill(np.array(segment)[:, None])[:, 0] for segment in segments]


def drawn(session, prompt, n, seed):
    """`n` tokens after a prompt, each drawn after the one before; the most likely ones would soon be the same for all
    prompts."""
    fresh, ids, draws = session.fork(), [], np.random.default_rng(seed)
    fresh.reset()
    for _ in range(n):
        logits = fresh.prefill(np.array([ids[-1]] if ids else prompt)[:, None])[-1, 0]
        ids.append(int((logits + draws.gumbel(size=len(logits))).argmax()))
    return ids


def test_the_configurations_have_triton_s_form(server, repository):
    files = [repository / name / "config.pbtxt" for name in ("model", "model_text")]
    cpu = 2
    assert server.client(validate=files) == [["model", "python", cpu], ["model_text", "python", cpu]]


def test_interleaved_sequences_are_lone_ones_token_for_token(server, lone):
    prompts = [list(range(2, 3 + k)) for k in range(10)]
    jobs = [
        {"protocol": ("grpc", "http")[k % 2], "id": 100 + k, "prompt": prompt, "drawn": 25}
        for k, prompt in enumerate(prompts)
    ]
    assert server.client(jobs) == [drawn(lone, prompt, 26, 100 + k) for k, prompt in enumerate(prompts)]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_text_and_ids_are_segments_and_a_wrong_one_changes_nothing(server, lone, protocol):
    first, wrong, none, both, unknown, last = server.requests(
        7,
        ({"IDS": [2, 3, 4]}, START),
        ({"IDS": [2, 29]}, {}),
        ({"SAVE": False}, {}),
        ({"IDS": [2], "TEXT": "a"}, {}),
        ({"TEXT": "A"}, {}),
        ({"TEXT": " ab"}, END),
        protocol=protocol,
    )
    expected = logits_of(lone, [2, 3, 4], [2, 3, 4])
    np.testing.assert_allclose(first["logits"], expected[0], atol=ATOL)
    np.testing.assert_allclose(last["logits"], expected[1], atol=ATOL)
    assert "they must be 0 to 28" in wrong["error"]
    assert none["error"].endswith("a request has a segment, in IDS or in TEXT, and not in both")
    assert both["error"].endswith("a request has a segment, in IDS or in TEXT, and not in both")
    assert "is not in the vocabulary" in unknown["error"]


def test_a_sequence_ends_with_end_and_begins_again_with_start(server, lone):
    one, again, ended, after = server.requests(
        8, ({"IDS": [2, 3]}, START), ({"IDS": [2, 3]}, START), ({"IDS": [4]}, END), ({"IDS": [4]}, {})
    )
    assert one["logits"] == again["logits"]
    np.testing.assert_allclose(ended["logits"], logits_of(lone, [2, 3], [4])[1], atol=ATOL)
    assert "must specify the START flag" in after["error"]


def test_a_sequence_moves_by_snapshot(server, lone):
    [saved] = server.requests(9, ({"IDS": [5, 6, 7], "SAVE": True}, {**START, **END}))
    moved, *_ = server.requests(10, ({"SNAPSHOT": saved["saved"], "IDS": [8]}, {**START, **END}), protocol="http")
    np.testing.assert_allclose(moved["logits"], logits_of(lone, [5, 6, 7], [8])[1], atol=ATOL)
    cut, after = server.requests(11, ({"SNAPSHOT": saved["saved"][:400]}, START), ({"IDS": [2]}, END))
    assert "SNAPSHOT cannot be read as a saved state" in cut["error"]
    assert "sequence 11 is not open" in after["error"]


def test_idle_sequences_are_forgotten(server):
    server.requests(12, ({"IDS": [2]}, START))
    time.sleep(IDLE_SECONDS + 2)
    [late] = server.requests(12, ({"IDS": [2]}, {}))
    assert "START" in late["error"]


def test_texts_stream_and_are_those_of_a_session(server, lone):
    fresh = lone.fork()
    fresh.reset()
    expected = "".join(fresh.generate("once upon", 40, temperature=0.8, seed=5))
    body = {"text_input": "once upon", "max_tokens": 40, "temperature": 0.8, "seed": 5}
    pieces = [piece["text_output"] for piece in server.generate(**body)]
    assert "".join(pieces) == expected
    assert len(pieces) > 10
    whole = server.http.post("/v2/models/model_text/generate", json={**body, "stream": False}).json()
    assert whole["text_output"] == expected


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"text_input": "ONCE"}, "is not in the vocabulary"),
    ({"text_input": ""}, "the prompt is empty"),
    ({"max_tokens": 1_000_001}, "this server draws at most 1,000,000"),
    ({"temperature": -1.0}, "temperature"),
])  # fmt: skip
def test_what_cannot_be_generated_says_so(server, changed, sentence):
    [answer] = server.generate(**{"text_input": "once", "max_tokens": 5, **changed})
    assert sentence in answer["error"]


def test_a_client_that_leaves_frees_its_slot_and_a_full_server_says_so(server):
    """There are two slots, which endless texts take, and one place to wait: of two more texts one is refused."""
    endless = {"text_input": "once", "max_tokens": 1_000_000}
    with contextlib.ExitStack() as open_streams, ThreadPoolExecutor(2) as threads:
        streams, lines = [], []
        for _ in range(2):
            opened = server.http.stream("POST", "/v2/models/model_text/generate_stream", json=endless)
            streams.append(open_streams.enter_context(opened))
            lines.append(streams[-1].iter_lines())  # kept: a response whose iterator is gone is closed
            next(lines[-1])  # it has a slot
        asked = [threads.submit(server.generate, text_input="once", max_tokens=3) for _ in range(2)]
        refused = next(as_completed(asked, 50))
        assert "try again" in refused.result()[0]["error"]
        [waiting] = {*asked} - {refused}
        assert not waiting.done()
        streams[0].close()
        assert "text_output" in waiting.result(50)[-1]


def test_a_model_is_loaded_again(server):
    server.requests(13, ({"IDS": [2, 3]}, START))
    for action in ("unload", "load"):
        assert server.http.post(f"/v2/repository/models/model/{action}").status_code == 200
    old, new = server.requests(13, ({"IDS": [4]}, {}), ({"IDS": [4]}, {**START, **END}))
    assert "START" in old["error"]
    assert len(new["logits"]) == 1
