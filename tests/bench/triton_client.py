"""Sequences of Triton's, stepped by its client where that is installed: orders as lines of JSON in, "done" out."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tritonclient.grpc


def ids_of(ids):
    made = tritonclient.grpc.InferInput("IDS", [1, len(ids)], "INT64")
    made.set_data_from_numpy(np.array([ids], np.int64))
    return made


if __name__ == "__main__":
    client, order = tritonclient.grpc.InferenceServerClient(sys.argv[1]), {}

    def step(number):
        """A sequence: a prompt, and so many tokens."""
        client.infer("model", [ids_of(order["prompt"])], sequence_id=number, sequence_start=True)
        for k in range(order["tokens"]):
            last = k == order["tokens"] - 1
            client.infer("model", [ids_of([3 + k % 100])], sequence_id=number, sequence_end=last)

    with ThreadPoolExecutor(64) as pool:
        for line in sys.stdin:
            order = json.loads(line)
            list(pool.map(step, range(1, order["sequences"] + 1)))
            print("done", flush=True)
