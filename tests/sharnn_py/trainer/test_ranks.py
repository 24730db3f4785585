"""Training by two processes, which is training by one: torchrun, gloo, two CPU processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from sharnn_py import ConfigError
from sharnn_py.trainer.ranks import Ranks
from sharnn_py.trainer.saved import read_run
from tests.forked import sharnn
from tests.sharnn_py.trainer.conftest import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("imported")]

SETTINGS = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
SETTINGS += ["--threads", "1", "--precision", "float32"]


def two_ranks(*arguments):
    """What the two processes of a `sharnn train` print, forked with the environment that torchrun would give them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    job = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    done = {}

    def run(rank):
        done[rank] = sharnn("train", *arguments, environment={**job, "RANK": str(rank), "LOCAL_RANK": str(rank)})

    second = threading.Thread(target=run, args=(1,))
    second.start()
    run(0)
    second.join()
    for rank in (0, 1):
        assert done[rank].returncode == 0, done[rank].stdout + done[rank].stderr
    return done[0].stdout, done[1].stdout


def distance(ours, theirs):
    """The largest difference of two runs' parameters, as a share of each parameter's largest number."""
    names = [name for name in ours if name.startswith("model.")]
    assert names == [name for name in theirs if name.startswith("model.")]
    return max(float((ours[n] - theirs[n]).abs().max() / ours[n].abs().max().clamp(min=1e-3)) for n in names)


def run_of(folder):
    return read_run(folder)[0]


@pytest.fixture(scope="module")
def folders(text, tmp_path_factory):
    """The same run by one process and by two, and by one that went on for twice as long."""
    folder = tmp_path_factory.mktemp("ranks")
    command = ["train", text, "--set", "accumulate=2", *SETTINGS]
    for name, epochs in (("one", 0.25), ("whole", 0.5)):
        assert sharnn(*command, "--epochs", epochs, "-o", folder / name).returncode == 0
    speaks, silent = two_ranks(*command[1:], "--epochs", 0.25, "-o", folder / "two")
    assert speaks.count("parameters, paper semantics") == 1
    assert silent == ""
    return folder


def test_two_ranks_give_the_updates_of_one_process_within_rounding(folders):
    one, two = run_of(folders / "one"), run_of(folders / "two")
    assert read_run(folders / "two")[1]["ranks"] == 2
    # Rounding of float32, 6e-8, grown over the updates; a missing average or a column trained twice is above 1e-2.
    assert 0 < distance(one, two) < 1e-4
    for name in ("carried.0.0", "carried.0.2", "carried.1.1"):
        assert one[name].shape == two[name].shape
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4)
    assert torch.equal(one["columns.place"], two["columns.place"])


@pytest.mark.parametrize(("before", "after"), [("two", 1), ("one", 2)])
def test_another_number_of_ranks_goes_on_and_says_what_is_not_the_same(folders, tmp_path, before, after):
    held = shutil.copytree(folders / before, tmp_path / "m")
    going_on = ["-o", held, "--resume", "--epochs", 0.5]
    out = sharnn("train", *going_on).stdout if after == 1 else two_ranks(*going_on)[0]
    assert f"goes on with {after}: the random numbers of dropout begin anew" in out
    (now, facts), (whole, expected) = read_run(held), read_run(folders / "whole")
    assert torch.equal(now["columns.place"], whole["columns.place"])
    assert facts["counters"]["update"] == expected["counters"]["update"]  # nothing was read twice


@pytest.mark.skipif(sys.platform != "linux", reason="finds a rank's process in /proc")
def test_a_rank_that_dies_restarts_the_job_from_the_last_save(text, tmp_path):
    folder = tmp_path / "m"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=2"]
    train = ["-m", "sharnn_py.train", str(text), "-o", str(folder), "--minutes", "0.06", *SETTINGS]
    process = subprocess.Popen(
        [sys.executable, *torchrun, *train],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    file = folder / "training" / "run.safetensors"
    while not file.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    os.kill(int(children.split()[-1]), signal.SIGKILL)
    out = process.communicate(timeout=180)[0]
    assert process.returncode == 0, out
    assert ", from update " in out.replace("; from", ", from")
    assert read_run(folder)[1]["ranks"] == 2
    assert "best: " in out


def test_a_batch_that_cannot_be_spread_is_refused():
    with pytest.raises(ConfigError, match="batch is 5, and 2 processes train; it must be a multiple of that"):
        Ranks(0, 2, torch.device("cpu")).check(5)
