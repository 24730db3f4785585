"""Getting Julia: where it is looked for, what is refused, and an installation that is interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from julia_bridge import JuliaUnavailable, Lane, Worker
from julia_bridge.install import debian, debian_archive, install, juliapkg, pinned
from julia_bridge.install.doctor import doctor
from julia_bridge.install.folder import folder
from sharnn_py.cli import main
from sharnn_py.errors import ConfigError

DEB822 = """
# the system's
Types: deb deb-src
URIs: http://one.example/debian/
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://two.example/debian trixie main contrib  # ours
deb-src http://sources.example/debian trixie main
deb http://vendor.example/apt cloud-sdk-bookworm main
deb http://flat.example/apt ./
"""


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own with no Julia in it, and Debian's lane asked for."""
    monkeypatch.setenv("SHARNN_JULIA_DIR", str(tmp_path / "julia"))
    monkeypatch.setenv("SHARNN_JULIA_LANE", "debian")
    return tmp_path / "julia"


# ---- where things are


def test_the_archive_is_read_from_both_formats_of_apt_sources(tmp_path: Path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "debian.sources.bak").write_text(DEB822.replace("one.", "backup."))
    assert debian_archive.archive_addresses(tmp_path) == ["http://two.example/debian", "http://one.example/debian"]


def test_a_machine_without_debian_sources_has_none(tmp_path: Path):
    assert debian_archive.archive_addresses(tmp_path) == []


def test_the_folder_is_the_cache_unless_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("SHARNN_JULIA_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder() == tmp_path / ".cache/sharnn/julia"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert folder() == tmp_path / "cache/sharnn/julia"
    monkeypatch.setenv("SHARNN_JULIA_DIR", str(tmp_path / "own"))
    assert folder() == tmp_path / "own"


def test_no_address_of_a_registry_is_written_down():
    package = Path(debian.__file__).parents[1]
    for file in (*package.rglob("*.py"), debian.PINS, package / "juliapkg.json"):
        if file.name != "upstream.py":  # SHA-RNN.jl's own repository is no registry
            assert "://" not in file.read_text(), file


# ---- what is refused


def test_a_file_with_another_hash_is_removed_and_refused(tmp_path: Path):
    _, packages, _ = pinned.read_pins(debian.PINS)
    (tmp_path / packages[0].file).write_bytes(b"not the package")
    with pytest.raises(JuliaUnavailable, match=r"sha256 .* were not used: julia_1\.5\.3"):
        pinned.require(packages[:1], tmp_path)
    assert not (tmp_path / packages[0].file).exists()


@pytest.mark.parametrize("kind", ["debian", "juliacall"])
def test_downloads_that_are_not_the_known_ones_are_not_installed(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lane: Lane, kind: str
):
    content = json.loads(debian.PINS.read_text())
    content["debian"] = [pin for pin in content["debian"] if pin["name"] == "libdsfmt-19937-1"]
    wrong = content["debian"][0] if kind == "debian" else content["juliacall"]
    wrong["sha256"] = "0" * 64
    pins = tmp_path / "pins.json"
    pins.write_text(json.dumps(content))
    monkeypatch.setattr(debian, "PINS", pins)
    with pytest.raises(JuliaUnavailable, match=r"do not have the sha256|DO NOT MATCH THE HASHES"):
        install.ensure()
    assert {path.name for path in empty.iterdir()} == {".lock", "downloads"}
    assert not list((empty / "downloads").glob(f"{wrong['name']}*"))


def test_an_unknown_lane_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHARNN_JULIA_LANE", "conda")
    with pytest.raises(ConfigError, match=r"'conda': give juliapkg or debian"):
        install.ensure()


def test_every_way_that_failed_is_told(empty: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SHARNN_JULIA_LANE")
    monkeypatch.setattr(juliapkg, "has_juliacall", lambda: True)
    monkeypatch.setattr(juliapkg, "RESOLVE", "raise SystemExit('juliapkg found no Julia')")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    told: list[str] = []
    with pytest.raises(JuliaUnavailable) as caught:
        install.ensure(told.append)
    assert "juliapkg: juliapkg could not provide Julia: juliapkg found no Julia" in str(caught.value)
    assert "debian: Debian's Julia packages are for Linux on x86_64, and this is linux on aarch64" in str(caught.value)
    assert "trying another way" in told[-1]


def test_a_worker_without_julia_says_how_to_get_it(empty: Path):
    with pytest.raises(JuliaUnavailable, match="`sharnn julia install` does it"):
        Worker()


# ---- doing it

ENSURE = "from julia_bridge import ensure; print('at', ensure(lambda step: print(step, flush=True)).place)"


def start_install() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_interrupted_installation_is_taken_up_again_by_one_of_two(empty: Path, lane: Lane):
    if lane.name != "debian":
        pytest.skip("this machine gets Julia through juliapkg, whose installation is its own")
    first = start_install()
    assert any("unpacking" in line for line in first.stdout), first.communicate()[1]
    time.sleep(0.3)
    first.kill()
    first.communicate()
    assert debian.find() is None
    assert list(empty.glob(".building-*"))
    damaged = next((empty / "downloads").glob("libopenlibm*"))
    damaged.write_bytes(damaged.read_bytes()[:1000])

    ends = [process.communicate(timeout=300) for process in (start_install(), start_install())]
    told = "".join(out for out, _ in ends)
    assert "fetching 1 packages of Debian bullseye" in told
    assert "juliacall 0.9.26" not in told  # it was whole
    assert told.count("unpacking") == 1
    assert told.count(f"at {empty}/debian-") == 2, ends
    assert {path.name for path in empty.iterdir()} == {".lock", debian.find().place.name}

    start = time.perf_counter()
    install.ensure(lambda step: pytest.fail(f"installed again: {step}"))
    assert time.perf_counter() - start < 0.05


JULIAPKG = """
from os import environ
def resolve(): print("a line that is no answer")
def executable(): return environ["PYTHON_JULIAPKG_EXE"]
def project(): return environ["PYTHON_JULIAPKG_PROJECT"]
"""


def test_the_juliapkg_lane_runs_what_juliapkg_provides(lane: Lane, tmp_path: Path):
    """With the juliacall and the Julia of the lane that is installed, as if a juliapkg had provided them."""
    if lane.name != "debian":
        pytest.skip("this machine's lane is juliapkg's: every test of the worker runs it")
    (tmp_path / "juliapkg.py").write_text(JULIAPKG)
    script = """
from julia_bridge import Worker, ensure
from julia_bridge.install import install
steps = []
lane = ensure(steps.append)
assert lane == ensure(lambda step: exit(step)) == install.find()
with Worker() as julia:
    print(lane.name, len(steps), julia.call("sum", [1, 2, 3]))
"""
    environment = {**os.environ, **lane.environment, "SHARNN_JULIA_DIR": str(tmp_path), "SHARNN_JULIA_LANE": "juliapkg"}
    path = [
        str(tmp_path),
        *map(str, lane.python_path),
        os.environ.get("PYTHONPATH", ""),
        str(Path(debian.__file__).parents[2]),
    ]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "juliapkg 2 6\n", done.stderr


# ---- the doctor


def sharnn(*arguments: str) -> int:
    """The command's exit status."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


def test_the_doctor_finds_what_works(lane: Lane, capfd: pytest.CaptureFixture[str]):
    assert sharnn("julia", "doctor") == 0
    output = capfd.readouterr().out
    found = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert found["lane"] == lane.name
    assert found["juliacall"] == found["PythonCall"]
    if lane.name == "debian":
        assert (found["julia"], found["juliacall"], found["libunwind"]) == ("1.5.3", "0.9.26", "1.3.2")
    assert output.endswith("Julia works.\n")


def test_the_doctor_finds_nothing_installed(empty: Path, capfd: pytest.CaptureFixture[str]):
    assert sharnn("julia", "doctor") == 3
    assert capfd.readouterr().out == (
        "lane        none\nproblem: Julia is not installed for sharnn. `sharnn julia install` does it, without root.\n"
    )


def test_the_doctor_finds_a_damaged_installation(empty: Path):
    (empty / debian._name()).mkdir(parents=True)
    (empty / debian._name() / "ready").touch()
    report = doctor()
    assert not report
    assert "Julia did not start" in str(report)
    assert "juliacall" in str(report)


def test_install_says_what_stands_in_the_way(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SHARNN_JULIA_DIR", "/dev/null/julia")
    assert sharnn("julia", "install") == 3
    assert "Not a directory" in capfd.readouterr().err
