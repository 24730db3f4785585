"""Calls Triton through its own clients, in an environment that has them: a JSON list of requests in, of answers out."""

import base64
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tritonclient.grpc
import tritonclient.http
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException


def tensor(module, name, value):
    array, datatype = {
        "IDS": lambda: (np.array([value], np.int64), "INT64"),
        "TEXT": lambda: (np.array([[value.encode()]], np.object_), "BYTES"),
        "SNAPSHOT": lambda: (np.array([[base64.b64decode(value)]], np.object_), "BYTES"),
        "SAVE": lambda: (np.array([[value]], np.bool_), "BOOL"),
    }[name]()
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def infer(client, module, id, inputs, **flags):
    """The logits of one request, and what it saved; or its error."""
    tensors = [tensor(module, name, value) for name, value in inputs.items()]
    try:
        result = client.infer("model", tensors, sequence_id=id, **flags)
    except InferenceServerException as error:
        return {"error": error.message()}
    saved = result.as_numpy("SAVED")
    return {
        "logits": result.as_numpy("LOGITS")[0].tolist(),
        "saved": None if saved is None else base64.b64encode(saved[0, 0]).decode(),
    }


def run(job):
    """One sequence of requests, one after the other, on a connection of its own."""
    module = {"grpc": tritonclient.grpc, "http": tritonclient.http}[job["protocol"]]
    client = module.InferenceServerClient(job["url"])
    if "drawn" not in job:
        return [infer(client, module, job["id"], **request) for request in job["requests"]]
    ids, fed, draws = [], job["prompt"], np.random.default_rng(job["id"])
    for k in range(job["drawn"] + 1):
        last = k == job["drawn"]
        logits = infer(client, module, job["id"], {"IDS": fed}, sequence_start=k == 0, sequence_end=last)["logits"]
        ids.append(int(np.argmax(logits[-1] + draws.gumbel(size=len(logits[-1])))))
        fed = ids[-1:]
    return ids


def validate(file):
    """What is in a config.pbtxt, by the form that Triton gives it."""
    config = text_format.Parse(Path(file).read_text(), model_config_pb2.ModelConfig())
    return [config.name, config.backend, config.instance_group[0].kind]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    with ThreadPoolExecutor(16) as threads:
        found = [validate(file) for file in asked["validate"]] or list(threads.map(run, asked["jobs"]))
    json.dump(found, sys.stdout)
