"""Sequences that outlive the replica of Triton that they are at.

A sequence stays with one replica. Every so many segments it is saved, and the segments since then are kept here. When
the replica is gone, another one goes on from what was saved and is fed the segments since: nothing is lost.

    python router.py EXPORT triton-0.triton:8001,triton-1.triton:8001 100 "Once upon" "It was"

goes on with each text by 100 tokens, drawn with the seeds 0, 1, ..., and prints their ids and logits as they come.
"""

import contextlib
import hashlib
import json
import sys
import time

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

EVERY = 16  # segments from one snapshot to the next: more are more work after a failure, and less work before it
SECONDS = 60  # that a replica may take for a segment
AWAY_SECONDS = 10  # until one that failed may be asked again
GONE = ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED")
FORGOTTEN = ("must specify the START flag", "is not open")  # it was started again, or nobody used the sequence for long


class Replicas:
    """The replicas, and which of them failed lately."""

    def __init__(self, model, addresses):
        self.model, self._away = model, dict.fromkeys(addresses, 0.0)
        self._clients = {address: triton.InferenceServerClient(address) for address in addresses}

    def choose(self, name):
        """The address for a sequence: always the same for a name, and another only for those whose replica is away."""
        here = [address for address, until in self._away.items() if until <= time.monotonic()]
        if not here:
            raise ConnectionError(f"none of {', '.join(self._away)} can be reached; try again")
        return max(here, key=lambda address: hashlib.sha256(f"{address} {name}".encode()).digest())

    def ask(self, address, name, inputs, **flags):
        """What a replica answers. Raises `ConnectionError` if the sequence is lost there."""
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") + 1  # 0 would be no sequence
        tensors = [tensor(*each) for each in inputs.items()]
        try:
            client = self._clients[address]
            return client.infer(self.model, tensors, sequence_id=number, client_timeout=SECONDS, **flags)
        except InferenceServerException as error:
            if error.status() in GONE:
                self._away[address] = time.monotonic() + AWAY_SECONDS
            elif not any(words in error.message() for words in FORGOTTEN):
                raise  # of the segment: it would be wrong anywhere
            raise ConnectionError(f"{address}: {error.message()}") from error


def tensor(name, value):
    """An input of the model, by its name."""
    array, kind = {
        "IDS": lambda: (np.array([value], np.int64), "INT64"),
        "TEXT": lambda: (np.array([[value.encode()]], np.object_), "BYTES"),
        "SNAPSHOT": lambda: (np.array([[value]], np.object_), "BYTES"),
        "SAVE": lambda: (np.array([[value]]), "BOOL"),
    }[name]()
    made = triton.InferInput(name, array.shape, kind)
    made.set_data_from_numpy(array)
    return made


class Sequence:
    """A sequence, known by a name that no other client gives to one of its own."""

    def __init__(self, replicas, name):
        self.name, self.replica = name, None
        self._replicas, self._saved, self._since = replicas, {}, []

    def feed(self, segment):
        """Feed a segment, {"IDS": [...]} or {"TEXT": "..."}; logits (T, V) of the next token after each.

        Raises `InferenceServerException` for a wrong one, with the sequence as it was, and `ConnectionError` if no
        replica is there; the sequence can be gone on with when one is.
        """
        while True:
            address = self.replica or self._replicas.choose(self.name)
            begin = self.replica is None
            try:
                for each in [*self._since, segment] if begin else [segment]:
                    save = {"SAVE": True} if each is segment and len(self._since) + 1 >= EVERY else {}
                    inputs = {**(self._saved if begin else {}), **each, **save}
                    answer = self._replicas.ask(address, self.name, inputs, sequence_start=begin)
                    self.replica, begin = address, False
            except ConnectionError as error:
                print(f"{self.name}: {error}", file=sys.stderr)
                self.replica = None
                continue
            self._since.append(segment)
            if save:
                self._saved, self._since = {"SNAPSHOT": answer.as_numpy("SAVED")[0, 0]}, []
            return answer.as_numpy("LOGITS")[0]

    def close(self):
        """Let its replica forget it; without this it does so when nobody has used the sequence for long."""
        if self.replica:
            with contextlib.suppress(ConnectionError):
                self._replicas.ask(self.replica, self.name, {"SAVE": False}, sequence_end=True)


if __name__ == "__main__":
    model, addresses, count, *texts = sys.argv[1:]
    replicas, due = Replicas(model, addresses.split(",")), [{"TEXT": text} for text in texts]
    sequences = [Sequence(replicas, f"text {k} of {time.time_ns()}") for k in range(len(texts))]
    draws = [np.random.default_rng(k) for k in range(len(texts))]
    for k in [*range(len(texts))] * int(count):
        logits = sequences[k].feed(due[k])[-1]
        id = int((logits + draws[k].gumbel(size=len(logits))).argmax())  # drawn as softmax says
        due[k], told = {"IDS": [id]}, {"text": k, "id": id, "logit": float(logits[id])}
        print(json.dumps({**told, "replica": sequences[k].replica}), flush=True)
    for sequence in sequences:
        sequence.close()
