"""Triton and its clients in an environment of their own, and a server that runs there on the loopback."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import httpx

from sharnn_py import SharnnError
from tests.debian import libpython

ROOT = Path(__file__).parents[3]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
START_SECONDS = 120
EXPLICIT = (
    "--disable-auto-complete-config",
    "--model-control-mode=explicit",
    "--load-model=*",
    "--exit-timeout-secs=5",
)


def why_not():
    """Why Triton's wheel cannot run here; "" if it can."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        return "Triton's wheel is for Linux on x86-64"
    if sys.version_info >= (3, 13):
        return "the back end in Triton's wheel was built for NumPy 1, which Python 3.13 has not"
    return ""


def install(folder):
    """Make an environment in `folder` with Triton and its clients, in which this project can be imported.

    Raises `SharnnError` if they cannot be had.
    """
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "pip", "install", "--quiet", "--no-deps", "--no-compile", "-r", REQUIREMENTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SharnnError(done.stderr)
    [packages] = folder.glob("lib/python*/site-packages")
    # Triton's Python ignores PYTHONPATH. What is in this file comes after the environment's own packages.
    (packages / "tested.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    triton = packages / "pytriton" / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    place = triton / "backends" / "python" / stub.name
    place.write_bytes(stub.read_bytes())
    for program in (place, triton / "bin" / "tritonserver"):
        program.chmod(0o755)


class Server:
    """A server that runs, and who calls it."""

    def __init__(self, environment, repository, log, arguments=EXPLICIT):
        self.log, self._environment = log, environment
        self._ports = free_ports(3)
        [triton] = environment.glob("lib/python*/site-packages/pytriton/tritonserver")
        command = [triton / "bin" / "tritonserver", f"--model-repository={repository}"]
        command += [f"--backend-directory={triton / 'backends'}", *arguments]
        for kind, port in zip(("http", "grpc", "metrics"), self._ports, strict=True):
            command += [f"--{kind}-address=127.0.0.1", f"--{kind}-port={port}"]
        path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        libraries = os.pathsep.join([*map(str, libpython.folders()), os.environ.get("LD_LIBRARY_PATH", "")])
        settings = {**os.environ, "PATH": path, "LD_LIBRARY_PATH": libraries.strip(os.pathsep)}
        with log.open("wb") as written:
            self.process = subprocess.Popen(
                command, stdout=written, stderr=written, env=settings, start_new_session=True
            )
        self.grpc = f"127.0.0.1:{self._ports[1]}"
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self._ports[0]}", timeout=60)

    def wait(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                if self.http.get("/v2/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)

    def close(self):
        self.http.close()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.kill()

    def kill(self):
        """End it at once, with what it started, whatever became of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def client(self, jobs=(), validate=()):
        """What Triton's clients are answered; the jobs run at the same time."""
        jobs = [{"url": f"127.0.0.1:{self._ports[job['protocol'] == 'grpc']}", **job} for job in jobs]
        python, program = self._environment / "bin" / "python", Path(__file__).with_name("client.py")
        asked = json.dumps({"jobs": jobs, "validate": [str(file) for file in validate]})
        done = subprocess.run([python, program], input=asked, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def requests(self, id, *requests, protocol="grpc"):
        """What requests of one sequence are answered: each is its inputs, and flags."""
        requests = [{"inputs": inputs, **flags} for inputs, flags in requests]
        [answers] = self.client([{"protocol": protocol, "id": id, "requests": requests}])
        return answers

    def generate(self, **body):
        """The stream of a text."""
        with self.http.stream("POST", "/v2/models/model_text/generate_stream", json=body) as answer:
            lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
        return [json.loads(line) for line in lines]


def free_ports(count):
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in opened]
    for held in opened:
        held.close()
    return ports
