"""The examples of deployment: their parts agree with each other, and with what `sharnn export --triton` writes."""

import re

import pytest
import yaml

from export.triton.repository import write_repository
from tests.export.triton.installed import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "triton"
PORTS = {"http": 8000, "grpc": 8001, "metrics": 8002}
"""Where Triton listens unless told otherwise."""
READY, LIVE = "/v2/health/ready", "/v2/health/live"
SERVER = ["tritonserver", "--model-repository=/models", "--disable-auto-complete-config", "--exit-timeout-secs=30"]
"""What the router's test starts, but for the places."""


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def kubernetes():
    found = {each["kind"]: each for each in yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())}
    assert sorted(found) == ["PodDisruptionBudget", "Service", "StatefulSet"]
    return found


@pytest.fixture(scope="module")
def pod(kubernetes):
    return kubernetes["StatefulSet"]["spec"]["template"]["spec"]


def seconds(grace):
    return int(grace.removesuffix("s"))


@pytest.mark.parametrize("name", ["triton", "triton-cpu"])
def test_a_server_of_compose_is_whole(compose, name):
    service = compose[name]
    assert service["command"] == SERVER
    [mount] = service["volumes"]
    assert mount["target"] == "/models"
    assert mount["read_only"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}" for port in PORTS.values()]
    assert service["healthcheck"]["test"][-1] == f"http://localhost:{PORTS['http']}{READY}"
    assert seconds(service["stop_grace_period"]) > 30
    build = service["build"]
    context = (EXAMPLES / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).samefile(EXAMPLES / "Dockerfile")
    gpu = name == "triton"
    assert (context / build["args"]["REQUIREMENTS"]).read_text().count("onnxruntime-gpu==") == gpu
    devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
    assert [device["capabilities"] for device in devices] == [["gpu"]] * gpu
    assert service["profiles"] == (["gpu"] if gpu else ["cpu"])


def test_no_two_servers_of_compose_are_one_image(compose):
    assert len({service["image"] for service in compose.values()}) == len(compose) == 2


def test_the_image_is_built_as_the_one_that_serves_without_triton():
    """The same two commands, which a test runs; a Python that is Debian's has to be told that it may."""
    commands = [re.sub(r"\\\n *", "", (folder / "Dockerfile").read_text()) for folder in (ROOT, EXAMPLES)]
    ours, with_triton = (re.findall(r"^RUN .*pip (.*)$", text, re.MULTILINE) for text in commands)
    assert [line.replace("--break-system-packages ", "") for line in with_triton] == ours
    assert with_triton[1] != ours[1]
    arguments = re.findall(r"^ARG (\w+)=(\S+)", commands[1], re.MULTILINE)
    assert [name for name, _ in arguments] == ["TRITON", "REQUIREMENTS"]
    assert (ROOT / arguments[1][1]).exists()


def test_the_pods_are_found_by_the_names_that_the_router_is_given(kubernetes):
    service, replicas = kubernetes["Service"], kubernetes["StatefulSet"]
    labels = replicas["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == replicas["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert replicas["spec"]["serviceName"] == service["metadata"]["name"]
    name = f"{replicas['metadata']['name']}-{{}}.{service['metadata']['name']}:{PORTS['grpc']}"
    names = ",".join(name.format(k) for k in range(replicas["spec"]["replicas"]))
    for page in (EXAMPLES / "router.py", ROOT / "docs" / "triton.md"):
        assert f"router.py EXPORT {names} " in page.read_text()


def test_ports_and_probes_are_triton_s(kubernetes, pod):
    [container] = pod["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == PORTS
    assert {port["name"]: port["port"] for port in kubernetes["Service"]["spec"]["ports"]} == PORTS
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startup": READY, "readiness": READY, "liveness": LIVE
    }  # fmt: skip


def test_a_pod_runs_what_compose_runs(compose, pod):
    [container] = pod["containers"]
    assert container["command"] + container["args"] == SERVER
    assert container["image"] == compose["triton"]["image"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["terminationGracePeriodSeconds"] == seconds(compose["triton"]["stop_grace_period"])
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert sorted(mounts) == sorted(volume["name"] for volume in pod["volumes"])
    assert mounts["models"] == {"name": "models", "mountPath": "/models", "readOnly": True}
    assert mounts["shared-memory"]["mountPath"] == "/dev/shm"


def test_what_is_mounted_is_what_the_export_command_writes(exported, tmp_path):
    """A folder of models, each with a version 1: what --model-repository wants."""
    for model in write_repository(exported, tmp_path):
        assert model.parent == tmp_path
        assert (model / "config.pbtxt").exists()
        assert (model / "1" / "model.py").exists()
