"""The example router: a replica dies in the middle of texts, and they are those of lone sessions, token for token."""

import json
import subprocess

import numpy as np
import pytest
import yaml

from export import Session
from sharnn_py.text import encode
from tests.export.triton.installed import ROOT, Server

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "docs" / "examples" / "triton"
TEXTS = ["once upon", "it was", "the quick brown fox", "a", "zebra", "so"]
TOKENS = 60
"""Of each text: some snapshots, which are taken every 16 segments, and segments after the last."""
ATOL = 2e-5
"""Of logits, from those of a lone session; the engine's own tests allow the same rounding."""


@pytest.fixture
def replicas(environment, repository, tmp_path):
    """Two servers, started as `compose.yaml` starts one."""
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    program, _, *arguments = compose["services"]["triton-cpu"]["command"]
    assert program == "tritonserver"
    started = [Server(environment, repository, tmp_path / f"log{k}", arguments) for k in range(2)]
    try:
        for server in started:
            server.wait()
        yield {server.grpc: server for server in started}
    finally:
        for server in started:
            server.close()


def test_a_replica_that_is_killed_costs_nothing(environment, replicas, exported):
    words = [environment / "bin" / "python", EXAMPLES / "router.py", "model", ",".join(replicas), str(TOKENS)]
    found, victim, early = [], None, 25 * len(TEXTS)  # nine segments after a snapshot
    with subprocess.Popen([*words, *TEXTS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        for line in program.stdout:
            found.append(json.loads(line))
            if len(found) == early:
                victim = found[-1]["replica"]
                replicas[victim].kill()
        said = program.stderr.read()
    assert program.returncode == 0, said
    expected = {k: drawn(exported, text, k) for k, text in enumerate(TEXTS)}
    for k, (ids, logits) in expected.items():
        text = [each for each in found if each["text"] == k]
        assert [each["id"] for each in text] == ids
        # A model so small tells little of its state by the ids alone.
        np.testing.assert_allclose([each["logit"] for each in text], logits, atol=ATOL)
    assert {each["replica"] for each in found[early + len(TEXTS) :]} == set(replicas) - {victim}
    # Those that were there moved, each once, and no other did.
    moved = [f"text {k}" for k in range(len(TEXTS)) if found[early - len(TEXTS) + k]["replica"] == victim]
    assert sorted(line.partition(" of ")[0] for line in said.splitlines()) == moved


def drawn(folder, text, seed):
    """The tokens that a session alone goes on with, drawn as the router draws them, and their logits."""
    session, draws = Session.load(folder, threads=1), np.random.default_rng(seed)
    due, ids, found = encode(session.vocabulary, text), [], []
    while len(ids) < TOKENS:
        logits = session.prefill(due[:, None])[-1, 0]
        ids.append(int((logits + draws.gumbel(size=len(logits))).argmax()))
        found.append(logits[ids[-1]])
        due = np.array(ids[-1:])
    return ids, found
