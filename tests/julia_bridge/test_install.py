"""Getting Julia: where it is looked for, what is refused, and an installation that is interrupted."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from julia_bridge import JuliaInstallation, JuliaUnavailable, Worker
from julia_bridge.install import debian, debian_archive, install, juliapkg, pinned
from julia_bridge.install.doctor import doctor
from julia_bridge.install.folder import folder
from julia_bridge.process.child_process import JuliaProcess
from julia_bridge.process.libraries import missing_libraries, needed
from sharnn_py.cli import main
from sharnn_py.errors import ConfigError
from tests.debian import suite

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
    """A folder of one's own with no Julia in it, and Debian's installation asked for."""
    monkeypatch.setenv("SHARNN_JULIA_DIR", str(tmp_path / "julia"))
    monkeypatch.setenv("SHARNN_JULIA_LANE", "debian")
    return tmp_path / "julia"


# ---- where things are


def test_the_archive_is_read_from_both_formats_of_apt_sources(tmp_path: Path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "debian.sources.bak").write_text(DEB822.replace("one.", "backup."))
    assert debian_archive.addresses_in_apt_sources(tmp_path) == [
        "http://two.example/debian",
        "http://one.example/debian",
    ]


def test_a_machine_without_debian_sources_has_none(tmp_path: Path):
    assert debian_archive.addresses_in_apt_sources(tmp_path) == []


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


# ---- fetching and unpacking


def deb(content: bytes) -> bytes:
    """A .deb as dpkg-deb makes it, with a set-id program and a link to an absolute path."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        program, link = tarfile.TarInfo("./usr/bin/program"), tarfile.TarInfo("./etc/link")
        program.size, program.mode = len(content), 0o4755
        link.type, link.linkname = tarfile.SYMTYPE, "/usr/bin/program"
        tar.addfile(program, io.BytesIO(content))
        tar.addfile(link)
    archive = b"!<arch>\n"
    for name, member in ("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", data.getvalue()):
        archive += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(member):<10}`\n".encode()
        archive += member + b"\n" * (len(member) % 2)
    return archive


def test_a_package_is_unpacked_without_set_id_bits(tmp_path: Path):
    (tmp_path / "a.deb").write_bytes(deb(b"content"))
    debian_archive.unpack(tmp_path / "a.deb", tmp_path / "root")
    program = tmp_path / "root/usr/bin/program"
    assert (program.read_bytes(), oct(program.stat().st_mode)) == (b"content", "0o100755")
    assert (tmp_path / "root/etc/link").readlink() == Path("/usr/bin/program")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served over HTTP, as the Debian archive of a machine without apt."""
    (tmp_path / "archive").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(tmp_path / "archive"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv(debian_archive.VARIABLE, f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(debian_archive, "APT_HELPER", tmp_path / "no-apt")
        yield tmp_path / "archive"
        server.shutdown()


def test_a_machine_without_apt_fetches_from_the_archive_it_is_told_of(archive: Path, tmp_path: Path):
    whole = deb(b"content")
    (archive / "pool").mkdir()
    (archive / "pool/a_1_amd64.deb").write_bytes(whole)
    pin = pinned.Pin("a", "1", "pool/a_1_amd64.deb", hashlib.sha256(whole).hexdigest())
    debian_archive.fetch([pin], tmp_path)
    assert (tmp_path / "a_1_amd64.deb").read_bytes() == whole
    with pytest.raises(JuliaUnavailable, match=r"do not have the sha256.*a_1_amd64\.deb"):
        debian_archive.fetch([dataclasses.replace(pin, sha256="0" * 64)], tmp_path)
    with pytest.raises(JuliaUnavailable, match=rf"pool/b\.deb: HTTP Error 404.*\n.*{debian_archive.VARIABLE}"):
        debian_archive.fetch([dataclasses.replace(pin, path="pool/b.deb")], tmp_path)


def test_a_machine_that_knows_no_archive_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(debian_archive.VARIABLE, raising=False)
    monkeypatch.setattr(debian_archive, "addresses_in_apt_sources", list)
    with pytest.raises(JuliaUnavailable, match=debian_archive.VARIABLE):
        debian_archive.archives()


AVAILABLE = """
Package: program; Section: web; Depends: liba (>= 1) | libold, libc6, tool, libvirtual:any
Package: liba; Section: libs; Pre-Depends: libb; Depends: libstdc++6 | libnew, libreal
Package: libb; Section: libs; Depends: liba, data
Package: libnew; Section: libs
Package: libold; Section: oldlibs
Package: libreal; Section: libs; Provides: libother (= 2), libvirtual
Package: libzero; Section: libs; Provides: libvirtual
Package: tool; Section: utils; Depends: libzero
Package: data; Section: misc
"""


def test_what_a_package_needs_is_found_down_to_what_the_system_has():
    fixed = {"Version": "1", "Filename": "pool", "SHA256": "0"}
    paragraphs = [dict(field.split(": ") for field in line.split("; ")) for line in AVAILABLE.split("\n") if line]
    available = {fields["Package"]: {**fixed, **fields} for fields in paragraphs}
    assert [pin.name for pin in suite.closure(available, ["program"])] == ["liba", "libb", "libreal", "program"]


# ---- what is refused


def test_a_file_with_another_hash_is_removed_and_refused(tmp_path: Path):
    packages, _ = pinned.read_pins(debian.PINS)
    (tmp_path / packages[0].file).write_bytes(b"not the package")
    with pytest.raises(JuliaUnavailable, match=r"sha256 .* were not used: gcc-10-base_10"):
        pinned.require(packages[:1], tmp_path)
    assert not (tmp_path / packages[0].file).exists()


@pytest.mark.parametrize("kind", ["debian", "juliacall"])
def test_downloads_that_are_not_the_known_ones_are_not_installed(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installation: JuliaInstallation, kind: str
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


def test_an_unknown_installation_is_refused(monkeypatch: pytest.MonkeyPatch):
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


@pytest.mark.usefixtures("interpreted")
def test_an_interrupted_installation_is_taken_up_again_by_one_of_two(empty: Path, installation: JuliaInstallation):
    if installation.name != "debian":
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
    assert "juliacall 0.9.26" not in told  # it was there with its sha256
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


@pytest.mark.usefixtures("interpreted")
def test_the_juliapkg_installation_runs_what_juliapkg_provides(installation: JuliaInstallation, tmp_path: Path):
    """With the juliacall and the Julia of the installation that is installed, as if a juliapkg had provided them."""
    if installation.name != "debian":
        pytest.skip("this machine's installation is juliapkg's: every test of the worker runs it")
    (tmp_path / "juliapkg.py").write_text(JULIAPKG)
    script = """
from julia_bridge import Worker, ensure
from julia_bridge.install import install
steps = []
installation = ensure(steps.append)
assert installation == ensure(lambda step: exit(step)) == install.find()
with Worker() as julia:
    print(installation.name, len(steps), julia.call("sum", [1, 2, 3]))
"""
    environment = {
        **os.environ,
        **installation.environment,
        "SHARNN_JULIA_DIR": str(tmp_path),
        "SHARNN_JULIA_LANE": "juliapkg",
    }
    path = [
        str(tmp_path),
        *map(str, installation.python_path),
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


def test_the_doctor_finds_what_works(installation: JuliaInstallation, capfd: pytest.CaptureFixture[str]):
    assert sharnn("julia", "doctor") == 0
    output = capfd.readouterr().out
    found = dict(line.split(maxsplit=1) for line in output.splitlines())
    assert found["installation"] == installation.name
    assert found["juliacall"] == found["PythonCall"]
    if installation.name == "debian":
        assert (found["julia"], found["juliacall"], found["libunwind"]) == ("1.5.3", "0.9.26", "1.3.2")
    assert output.endswith("Julia works.\n")


def test_the_doctor_finds_nothing_installed(empty: Path, capfd: pytest.CaptureFixture[str]):
    assert sharnn("julia", "doctor") == 3
    assert capfd.readouterr().out == (
        "installation none\nproblem: Julia is not installed for sharnn. `sharnn julia install` does it, without root.\n"
    )


def test_the_doctor_finds_a_damaged_installation(empty: Path):
    (empty / debian._name()).mkdir(parents=True)
    (empty / debian._name() / "ready").touch()
    report = doctor()
    assert not report
    assert "Julia did not start" in str(report)
    assert "juliacall" in str(report)


def test_a_missing_library_is_named(empty: Path, installation: JuliaInstallation):
    """The doctor names it, and so does the error of a Julia that does not start."""
    if installation.name != "debian":
        pytest.skip("juliapkg's Julia brings libraries of its own")
    library = "root/usr/lib/x86_64-linux-gnu/libgit2.so.1.1"
    damaged = empty / debian._name()
    (damaged / library).parent.mkdir(parents=True)
    (damaged / "ready").touch()
    shutil.copy(installation.place / library, damaged / library)
    named = f"libpcre.so.3, which {library} needs, is not in {damaged}. Remove that folder and install again."
    assert named in doctor().problems
    with pytest.raises(JuliaUnavailable) as caught:
        JuliaProcess(install.find())
    assert named in str(caught.value)


def test_every_library_is_in_the_folder(installation: JuliaInstallation):
    """No library is taken from the machine, which may not have it, except those of C and C++."""
    if installation.name != "debian":
        pytest.skip("juliapkg's Julia brings libraries of its own")
    files = [file for file in (installation.place / "root").rglob("*.so*") if needed(file)]
    assert len(files) > 100
    assert "libz3.so.4" in needed(installation.place / "root/usr/lib/x86_64-linux-gnu/libLLVM-9.so.1")
    assert installation.problems() == []


def test_a_file_that_is_no_library_needs_nothing(tmp_path: Path):
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").touch()
    assert missing_libraries(tmp_path, []) == []


def test_install_says_what_stands_in_the_way(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SHARNN_JULIA_DIR", "/dev/null/julia")
    assert sharnn("julia", "install") == 3
    assert "Not a directory" in capfd.readouterr().err
