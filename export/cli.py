"""`sharnn export`: write an export folder. `sharnn onnx check`: is it still the model it was exported from?
`sharnn onnx capacity`: how many sequences fit into memory."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from export.serving.providers import PROVIDERS, Provider
from sharnn_py.files import write_text

if TYPE_CHECKING:
    from rich.console import Console

    from export.capacity import Capacity
    from export.check import CheckResult
    from export.placement import NodePlacement

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

GIGABYTES = (16.0, 24.0, 40.0, 80.0, 141.0)
"""What GPUs have."""


@click.command()
@click.argument("checkpoint", type=FOLDER)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FOLDER",
              help="Where to write. An earlier export there is replaced.")  # fmt: skip
@click.option("--precision", type=click.Choice(["float32", "float16"]), default="float32", show_default=True,
              help="Precision of weights and state. float16 is for CUDA.")  # fmt: skip
@click.option("--weights", type=click.Choice(["int8", "int4"]),
              help="Store the blocks' weights small, for CPU and CUDA. Default: in the precision.")  # fmt: skip
@click.option("--int8", is_flag=True, help="Also write an int8 step, for the CPU.")
@click.option("--capacity", type=click.IntRange(min=1), metavar="C",
              help="The most slots the ring memory may have. Default: as many as the model attends to.")  # fmt: skip
@click.option("--check", is_flag=True, help="Compare with PyTorch. An export that differs is not written.")
@click.option("--triton", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Also write models for Triton's Python back end to this model repository.")  # fmt: skip
@click.option("--triton-provider", type=click.Choice(list(PROVIDERS)),
              help="Where Triton computes. Default: cpu.")  # fmt: skip
def export(
    checkpoint: Path, output: Path, precision: Literal["float32", "float16"],
    weights: Literal["int8", "int4"] | None, int8: bool, capacity: int | None, check: bool,
    triton: Path | None, triton_provider: Provider | None,
) -> None:  # fmt: skip
    """Export the model in CHECKPOINT to ONNX: a graph for segments, a graph for steps, one set of weights."""
    from export.exporter import export_checkpoint
    from export.triton.repository import check_repository, write_repository

    if triton is None and triton_provider is not None:
        raise click.UsageError("--triton-provider says where the models of --triton compute; give both")
    if triton is not None:
        check_repository(output, triton)
    manifest = export_checkpoint(
        checkpoint, output, precision=precision, weights=weights, int8=int8, capacity=capacity, check=check
    )
    size = sum(entry["bytes"] for entry in manifest.files.values() if entry["for"] == "serving")
    click.echo(f"{output}: {', '.join(manifest.graphs)}; {size / 1e6:,.1f} MB to serve")
    if manifest.check is None:
        click.echo(f"not yet compared with PyTorch: sharnn onnx check {output}")
    else:
        click.echo("compared with PyTorch: all within bounds (manifest.json has the figures)")
        for sentence in manifest.check["left_out"]:
            click.echo(sentence)
    if triton is not None:
        models = write_repository(output, triton, triton_provider or "cpu")
        click.echo(f"{triton}: models {' and '.join(model.name for model in models)} for Triton")


@click.group()
def onnx() -> None:
    """Work with export folders, as `sharnn export` writes them."""


@onnx.command()
@click.argument("folder", type=FOLDER)
@click.option("--provider", type=click.Choice(list(PROVIDERS)), default="cpu", show_default=True,
              help="Where to run the export. There is no fallback.")  # fmt: skip
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure to this file."
)
@click.option(
    "--nodes", is_flag=True, help="List every node with its provider, not only how many nodes each provider has."
)
def check(folder: Path, provider: Provider, json_path: Path | None, nodes: bool) -> int:
    """Compare the export in FOLDER with its PyTorch model, and say where its nodes run.

    Exits with 0 if it computes the same and every node runs where it should, with 1 if not, and with 3 if the export
    was changed since it was written or cannot be run.
    """
    _check_folder(json_path)
    from export.check import check_export
    from export.placement import place_graphs
    from sharnn_py.console import PatientConsole

    result = check_export(folder, provider)  # first, as it refuses files that were changed
    placements = place_graphs(folder, provider)
    misplaced = [node for node in placements if node.provider != provider or node.why]
    if json_path is not None:
        report = {**result.to_json(), "placements": [dataclasses.asdict(node) for node in placements]}
        write_text(json_path, json.dumps(report, indent=2) + "\n")
    console = PatientConsole(soft_wrap=True)
    _print_placements(console, placements, nodes)
    _print_result(console, result)
    if misplaced:
        console.print(
            f"MISPLACED: {len(misplaced)} nodes are not on {provider}, or have no CUDA kernel; they are listed",
            highlight=False,
        )
    return 0 if result.passed and not misplaced else 1


@onnx.command()
@click.argument("folder", type=FOLDER)
@click.option("--memory", "gigabytes", type=click.FloatRange(min=0, min_open=True), multiple=True, default=GIGABYTES,
              show_default=True, metavar="GB",
              help="Memory of the device, in 10^9 bytes. May be given several times.")  # fmt: skip
@click.option("--provider", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True,
              help="Where the engine is to compute: what is taken beside its arrays differs.")  # fmt: skip
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure to this file."
)
def capacity(
    folder: Path, gigabytes: tuple[float, ...], provider: Literal["cpu", "cuda"], json_path: Path | None
) -> None:
    """Say how many sequences of the export in FOLDER an engine keeps in memory, by the memory of a device.

    What a sequence takes is read from the arrays of an engine that runs here, on the CPU; what is assumed beside it is
    printed with it. The numbers are for --slots of `sharnn serve`, and max_batch_size in Triton.
    """
    _check_folder(json_path)
    from export.capacity import measure
    from sharnn_py.console import PatientConsole

    found = measure(folder, provider)
    if json_path is not None:
        write_text(json_path, json.dumps(found.to_json(gigabytes), indent=2) + "\n")
    _print_capacity(PatientConsole(soft_wrap=True), found, gigabytes)


def _check_folder(json_path: Path | None) -> None:
    if json_path is not None and not json_path.parent.is_dir():
        raise click.UsageError(f"{json_path}: there is no folder {json_path.parent}")


def _print_capacity(console: Console, found: Capacity, gigabytes: tuple[float, ...]) -> None:
    from rich.table import Table

    table = Table("memory rows", "sequences", "MB each", box=None, pad_edge=False)
    for memory in gigabytes:
        table.add_column(f"{memory:g} GB", justify="right")
    for each in found.each:
        for what, size in (("that step", each.stepping), ("that read prompts", each.reading)):
            fit = (f"{found.fit(memory * 1e9, size):,}" for memory in gigabytes)
            rows = f"{each.rows:,}" if size == each.stepping else ""
            table.add_row(rows, what, f"{size / 1e6:,.3f}", *fit)
    console.print(table)
    twice = ", with the LSTMs' once more for cuDNN" if found.provider == "cuda" else ""
    console.print(
        f"\nmeasured: weights, {found.weights / 1e6:,.1f} MB in all, once for each graph{twice}; seats, which are as "
        "large as the export's rings can be, whatever they hold; a sequence that reads a prompt in parts is in memory "
        "twice beside its seat\n"
        f"assumed: {found.beside / 1e6:,.0f} MB beside them before anything is loaded, and {found.share:.0%} of the "
        "rest for what runs compute in and for gaps\n"
        f"fewer rows than {found.each[-1].rows:,}: export with --capacity, and begin sequences anew before they "
        "remember more",
        highlight=False,
    )


def _print_placements(console: Console, placements: list[NodePlacement], nodes: bool) -> None:
    from rich.table import Table

    table = Table("graph", "provider", "nodes", "CUDA", box=None, pad_edge=False)
    for (graph, used), count in Counter((node.graph, node.provider) for node in placements).items():
        without = sum((node.graph, node.provider) == (graph, used) and bool(node.why) for node in placements)
        kernels = f"has no kernel for {without}" if without else "has a kernel for each"
        table.add_row(graph, used, str(count), "for the CPU" if graph == "step.int8" else kernels)
    console.print(table)
    for node in placements:
        if node.why or nodes:
            console.print(
                f"  {node.graph}  {node.node}  {node.op}  {node.provider}  {node.why}".rstrip(), highlight=False
            )


def _print_result(console: Console, result: CheckResult) -> None:
    from rich.table import Table

    table = Table(
        "graph", "what", "numbers", "rms error", "allowed", "largest", "allowed", "", box=None, pad_edge=False
    )
    for row in result.rows:
        figures = (f"{x:.3g}" for x in (row.rms, row.allowed_rms, row.largest, row.allowed_largest))
        table.add_row(row.graph, row.what, f"{row.compared:,}", *figures, "" if row.passed else "WRONG")
    console.print()
    console.print(table)
    console.print()
    console.print(f"{'AGREEMENT' if result.passed else 'DIVERGENCE'}: {result.summary()}", highlight=False)
