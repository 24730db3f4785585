"""`sharnn generate` and `sharnn score`: text from a model, and how likely a text is to it, on either back end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from export.serving.providers import PROVIDERS, Provider
from sharnn_py.errors import InputError
from sharnn_py.files import write_text

if TYPE_CHECKING:
    from sharnn_py.session import SequenceSession

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
READABLE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
STATE = click.Path(dir_okay=False, path_type=Path)

Command = TypeVar("Command", bound=Callable[..., Any])


def back_end_options(command: Command) -> Command:
    """Add the options, common to both commands, that say which program computes, and where."""
    for option in (
        click.option("--segment", type=click.IntRange(min=1), default=1024, show_default=True, metavar="T",
                     help="Steps per segment. Under julia's semantics the numbers depend on it."),
        click.option("--int8", is_flag=True, help="Use the export's int8 step (onnx, cpu)."),
        click.option("--cuda-graph", is_flag=True, help="Replay steps as a CUDA graph (onnx, on a GPU)."),
    ):  # fmt: skip
        command = option(command)
    return place_options(command)


def place_options(command: Command) -> Command:
    """Add the options of whatever computes with a model: on which back end, and where."""
    for option in (
        click.option("--threads", type=click.IntRange(min=1), metavar="N",
                     help="Threads within an operator. Default: the back end's choice."),
        click.option("--device", type=click.IntRange(min=0), default=0, metavar="ID",
                     help="Which GPU, as CUDA numbers them. Default: 0."),
        click.option("--provider", type=click.Choice(list(PROVIDERS)), default="cpu", show_default=True,
                     help="Where to compute. There is no fallback."),
        click.option("--backend", type=click.Choice(["torch", "onnx"]),
                     help="Default: onnx if MODEL is an export, else torch."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("model", type=FOLDER)
@click.option("--prompt", help='The text to continue; "" goes on where a --state was saved.')
@click.option("--prompt-file", type=READABLE, help="The text to continue, from a file; - is standard input.")
@click.option("-n", type=click.IntRange(min=0), default=256, show_default=True, help="Tokens to draw.")
@click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Divides the logits; 0 takes the most likely token.",
)
@click.option("--top-k", type=int, help="Draw from the K most likely tokens.")
@click.option("--top-p", type=float, help="Draw from the most likely tokens that add up to probability P.")
@click.option("--seed", type=click.IntRange(min=0), help="Same seed, same text. Default: 0, or that of the --state.")
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; may be repeated.")
@click.option("--echo", is_flag=True, help="Write the prompt as well, before its continuation.")
@click.option("--state", type=STATE, help="Continue from a saved state, of either back end.")
@click.option("--unidentified-state", is_flag=True, help="Take a --state that does not say which model it is of.")
@click.option("--save-state", type=STATE, help="Write the state after the last token to this file.")
@back_end_options
def generate(
    model: Path, prompt: str | None, prompt_file: Path | None, state: Path | None, unidentified_state: bool,
    save_state: Path | None, echo: bool, segment: int, temperature: float, top_k: int | None, top_p: float | None,
    seed: int | None, n: int, stop: tuple[str, ...], **where: Any,
) -> None:  # fmt: skip
    """Generate text with MODEL, a checkpoint folder or an export folder.

    The text is written as it is generated, without the prompt, and a line break ends it. A character that is not
    complete is left to what continues from the --save-state.
    """
    if (prompt is None) == (prompt_file is None):
        raise click.UsageError("give the text to continue: either --prompt or --prompt-file")
    _require_folder(save_state)
    text = prompt if prompt_file is None else _read(prompt_file)
    assert text is not None
    session = open_session(model, **where)
    if state is not None:
        session.load_state(state, unidentified=unidentified_state)
    pieces = session.generate(text, n, temperature, top_k, top_p, seed, segment, stop)
    try:
        if echo:
            click.echo(text, nl=False)
        for piece in pieces:
            click.echo(piece, nl=False)
        click.echo(session.unfinished.decode(errors="replace") if save_state is None else "")
    except BrokenPipeError:
        if save_state is None:
            raise
        for _ in pieces:  # nobody reads the text any more, but the state after it was asked for
            pass
    if save_state is not None:
        session.save_state(save_state)


@click.command()
@click.argument("model", type=FOLDER)
@click.argument("text", type=READABLE)
@click.option("--json", "json_path", type=STATE, help="Write the numbers to this file as well.")
@back_end_options
def score(model: Path, text: Path, json_path: Path | None, int8: bool, segment: int, **where: Any) -> None:
    """Say how likely the text in file TEXT (- is standard input) is to MODEL, a checkpoint or export folder."""
    _require_folder(json_path)
    if int8 and segment != 1:
        raise click.UsageError("--int8 is for steps: score by steps, with --segment 1, or leave it out")
    found = open_session(model, int8=int8, **where).score(_read(text), segment)
    click.echo(f"{found.bits_per_byte:.4f} bits per byte ({found.bytes:,} bytes)")
    click.echo(
        f"{found.bits_per_token:.4f} bits per token, perplexity {found.perplexity:.2f} ({found.tokens:,} tokens)"
    )
    if json_path is not None:
        names = ("bits_per_byte", "bits_per_token", "perplexity", "nats", "tokens", "bytes")
        numbers = {**{name: getattr(found, name) for name in names}, "segment": segment}
        write_text(json_path, json.dumps(numbers, indent=2) + "\n")


def _require_folder(file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        raise click.UsageError(f"{file}: there is no folder {file.parent}")


def _read(path: Path) -> bytes:
    with click.open_file(str(path), "rb") as file:
        data: bytes = file.read()
    return data


def open_session(
    model: Path,
    backend: str | None = None,
    provider: Provider = "cpu",
    int8: bool = False,
    threads: int | None = None,
    cuda_graph: bool = False,
    device: int = 0,
) -> SequenceSession:
    """A session of one sequence on the checkpoint or export in folder `model`, by the options of a command.

    Raises `click.UsageError` for options that do not go together, and what the sessions' own `load` raises.
    """
    backend = backend or ("onnx" if (model / "manifest.json").exists() else "torch")
    if backend == "onnx":
        from export.serving.session import Session as OnnxSession

        return OnnxSession.load(
            model, provider, "int8" if int8 else "exported", threads=threads, cuda_graph=cuda_graph, device_id=device
        )
    for option, given in (
        ("--int8", int8), ("--provider tensorrt", provider == "tensorrt"), ("--cuda-graph", cuda_graph),
    ):  # fmt: skip
        if given:
            raise click.UsageError(f"{option} is for the onnx back end")
    if device and provider == "cpu":
        raise click.UsageError(f"--device {device} is a GPU, and --provider is cpu; leave it out, or give cuda")
    import torch

    from sharnn_py.torch_session import TorchSession

    if provider == "cuda" and not torch.cuda.is_available():
        raise InputError("cuda was asked for, and this PyTorch finds no CUDA device; use --provider cpu")
    if provider == "cuda" and device >= torch.cuda.device_count():
        raise InputError(f"--device is {device}, and PyTorch finds {torch.cuda.device_count()} GPUs, numbered from 0")
    if threads is not None:
        torch.set_num_threads(threads)
    return TorchSession.load(model, f"cuda:{device}" if provider == "cuda" else "cpu")
