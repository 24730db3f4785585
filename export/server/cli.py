"""`sharnn serve`."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from export.server.settings import Settings
from export.serving.providers import PROVIDERS, Provider
from sharnn_py.errors import ConfigError, InputError
from sharnn_py.missing import explained

if TYPE_CHECKING:
    from export.serving.onnx_sessions import StepPrecision

Command = TypeVar("Command", bound=Callable[..., Any])
DRAIN_SECONDS = 5
"""What is left of the time of requests under way when the server is told to end, beside their own."""


def limits(command: Command) -> Command:
    """Add the options that say how much a server takes."""
    for name, help in (
        ("max_sequences", "Sequences that clients may keep open."),
        ("max_seconds", "Seconds that a request may take."),
        ("max_tokens", "Tokens that a request may draw for each text."),
        ("max_prompt_bytes", "Bytes of text in a request."),
        ("queue", "Texts that may wait for a slot; more are answered with 429."),
    ):
        option, default = f"--{name.replace('_', '-')}", getattr(Settings, name)
        command = click.option(
            option, type=click.IntRange(min=1), default=default, show_default=True, metavar="N", help=help
        )(command)
    return command


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--provider",
    type=click.Choice(list(PROVIDERS)),
    default="cpu",
    show_default=True,
    help="Where to compute. There is no fallback.",
)
@click.option(
    "--slots",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="S",
    help="Sequences in memory, and texts in a step; others wait, or are in files.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any free port.")
@click.option("--state", type=click.Path(file_okay=False, path_type=Path), help="Keep snapshots in this folder.")
@click.option(
    "--api-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Ask for one of the keys in this file, one a line. Needed to listen beyond this machine.",
)
@click.option("--int8", is_flag=True, help="Use the export's int8 step (cpu).")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads within an operator.")
@click.option("--cuda-graph", is_flag=True, help="Replay steps as a CUDA graph (on a GPU).")
@click.option("--device", type=click.IntRange(min=0), default=0, metavar="ID", help="Which GPU. Default: 0.")
@limits
def serve(
    folder: Path,
    provider: Provider,
    slots: int,
    host: str,
    port: int,
    state: Path | None,
    api_key_file: Path | None,
    int8: bool,
    threads: int | None,
    cuda_graph: bool,
    device: int,
    **most: int,
) -> None:
    """Serve the export in FOLDER over HTTP: many texts at once, in steps that they share.

    /v1/completions takes what OpenAI's clients send. /v1/sequences are texts that live here: read on, generate, fork,
    save. A page is at /, the description of all of it at /docs. Ctrl-C and SIGTERM let requests end first.
    """
    keys = () if api_key_file is None else keys_in(api_key_file)
    loopback = is_loopback(host)
    if not (keys or loopback):
        raise ConfigError(
            f"--host {host} lets other machines connect, so keys are needed: --api-key-file, a file with one a line"
        )
    with explained("sharnn serve"):
        import uvicorn

        from export.server.app import application
        from export.server.connection import Connection
        from export.serving.engine import Engine
    settings = Settings(state=state, keys=keys, loopback=loopback, **most)
    with socket.create_server((host, port), family=family(host), backlog=128) as listening:
        precision: StepPrecision = "int8" if int8 else "exported"
        engine = Engine.load(
            folder, provider, precision, slots=slots, threads=threads, cuda_graph=cuda_graph, device_id=device
        )
        name = folder.resolve().name
        app = application(engine, name, settings)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listening.getsockname()[1]}"
        where = f"{name} at {url} on {engine.provider}, {slots} slots"
        click.echo(f"{where}; described at {url}/docs; Ctrl-C ends it", err=True)
        config = uvicorn.Config(
            app,
            http=Connection,
            lifespan="on",
            log_level="warning",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=settings.max_seconds + DRAIN_SECONDS,
            server_header=False,
        )
        uvicorn.Server(config).run(sockets=[listening])


def keys_in(file: Path) -> tuple[str, ...]:
    """The keys in a file, one a line. Raises `InputError` if there is none, or one that no header can hold."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    keys = tuple(key for line in lines if (key := line.strip()))
    if not keys:
        raise InputError(f"{file} has no key; write one a line")
    if not all(key.isascii() and key.isprintable() and " " not in key for key in keys):
        raise InputError(f"{file} has a key that is not of printable ASCII without spaces, which no client can send")
    return keys


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. Raises `InputError` for a name or address that there is not."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"--host {host} is no address of this machine: {error}") from error
    return all(ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def family(host: str) -> socket.AddressFamily:
    """The kind of address that `host` is."""
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
