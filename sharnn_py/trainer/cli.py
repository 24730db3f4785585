"""`sharnn train`: from a text to a checkpoint."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sharnn_py.waiting import wait_asleep

if TYPE_CHECKING:
    from sharnn_py.trainer.corpus import Corpus
    from sharnn_py.trainer.length import Length
    from sharnn_py.trainer.loop import Ended
    from sharnn_py.trainer.progress import Display
    from sharnn_py.trainer.ranks import Ranks
    from sharnn_py.trainer.run import Run
    from sharnn_py.trainer.settings import Settings

UNITS = ("bytes", "characters", "words")


class Presets(click.ParamType[str]):
    """The name of a preset, looked up when it is given, so that `--help` reads no file."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from sharnn_py.trainer.presets import presets

        if value not in presets():
            self.fail(f"there is no preset {value!r}; the presets are {', '.join(presets())}", param, ctx)
        return value


@click.command()
@click.argument("text", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="CHECKPOINT",
    help="The folder to train into.",
)
@click.option("--preset", type=Presets(), help="paper, paper-all, julia, laptop-10m (the default) or laptop-60m.")
@click.option("--minutes", type=float, metavar="M", help="Train for M minutes by the clock, all included.")
@click.option("--epochs", type=float, metavar="E", help="Read the text E times.")
@click.option("--resume", is_flag=True, help="Go on with the run in CHECKPOINT.")
@click.option("--semantics", type=click.Choice(["paper", "julia"]), help="Which program's model and training.")
@click.option("--tokens", type=click.Choice(UNITS), help="What a token is. Default: bytes.")
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="Share of the text, at its end, that validation scores. Default: 0.02.",
)
@click.option("--precision", type=click.Choice(["auto", "float32", "bf16"]), help="Default: the faster, measured.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the initial parameters and of all that is random.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other setting, such as layers=4, attention=all, rate=2e-3; may be repeated.",
)
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads. Default: the faster, measured.")
@click.option("--plot", is_flag=True, help="Only draw the curve of the run in CHECKPOINT.")
def train(text: str | None, output: Path, resume: bool, plot: bool, **given: Any) -> None:
    """Train a model on TEXT, any file, and leave a checkpoint for `generate`, `score`, `export` and `parity`.

    TEXT may be enwik8, which is fetched. CHECKPOINT holds the best model by the held-out end of the text,
    CHECKPOINT/last the last one, CHECKPOINT/training the log and what --resume needs. Ctrl-C saves and ends. Under
    torchrun, with `-m sharnn_py.train` and the same arguments, the batch is spread over its processes.
    """  # fmt: skip
    begun = time.monotonic()
    if plot:
        _plot(output)
        return
    wait_asleep()
    from sharnn_py.console import console
    from sharnn_py.trainer.progress import Display
    from sharnn_py.trainer.ranks import all_ranks

    with all_ranks() as ranks:
        _train(text, output, resume, ranks, Display(console(), quiet=not ranks.first), begun, given)


def _train(
    text: str | None,
    output: Path,
    resume: bool,
    ranks: Ranks,
    display: Display,
    begun: float,
    given: dict[str, Any],
) -> None:
    from sharnn_py.trainer.interrupt import interruptible
    from sharnn_py.trainer.loop import fit
    from sharnn_py.trainer.ranks import restarted
    from sharnn_py.trainer.run import Run
    from sharnn_py.trainer.saved import check_folder, read_run, run_file
    from sharnn_py.trainer.speed import set_out

    resume = resume or (restarted() and run_file(output).exists())
    check_folder(output, resume)
    tensors, facts = read_run(output) if resume else ({}, {})
    before = facts.get("asked", {})
    settings, length, asked = _asked(text, given, before, facts.get("settings"))
    run = Run(_corpus(asked), settings, ranks)
    remark = run.restore(tensors, facts) if resume else None
    del tensors
    display.say(_introduction(run, asked, length))
    for sentence in (remark, set_out(run, given["threads"], length.seconds)):
        if sentence:
            display.say(sentence)
    with interruptible() as interrupt, display.running():
        ended = fit(run, length, output, display, interrupt, begun, asked)
    if ranks.first:
        _conclude(run, output, display, ended)
    if ended.interrupted is not None:
        raise SystemExit(128 + ended.interrupted)


def _asked(
    text: str | None, given: dict[str, Any], before: dict[str, Any], saved: dict[str, Any] | None
) -> tuple[Settings, Length, dict[str, Any]]:
    """Settings, length, and what is kept of the request: of this command, or of the run that it goes on with."""
    from sharnn_py.trainer.corpus import HELD_OUT
    from sharnn_py.trainer.length import Length
    from sharnn_py.trainer.presets import DEFAULT, presets
    from sharnn_py.trainer.settings import Settings

    preset = presets()[given["preset"] or before.get("preset", DEFAULT)]
    settings = preset.settings if saved is None else Settings.from_json(saved)
    changed = settings
    pairs = [(name, str(given[name])) for name in ("semantics", "precision", "seed") if given[name] is not None]
    for pair in given["pairs"]:
        name, sign, value = pair.partition("=")
        if not sign:
            raise click.UsageError(f"--set {pair}: it must be NAME=VALUE, such as layers=4")
        pairs.append((name, value))
    for name, value in pairs:
        changed = changed.with_text(name, value)
    length = preset.length
    if before:
        length = Length(minutes=before["minutes"], epochs=before["epochs"])
    if given["minutes"] is not None or given["epochs"] is not None:
        length = Length(minutes=given["minutes"], epochs=given["epochs"])
    asked = {
        "preset": given["preset"] or before.get("preset", DEFAULT),
        "text": text or before.get("text") or preset.text,
        "unit": given["tokens"] or before.get("unit", "bytes"),
        "held_out": given["held_out"] or before.get("held_out", HELD_OUT),
        "minutes": length.minutes,
        "epochs": length.epochs,
    }
    if asked["text"] is None:
        raise click.UsageError("give the file to train on")
    kept = ("preset", "unit", "held_out")
    if before and (changed != settings or any(asked[name] != before[name] for name in kept)):
        raise click.UsageError(
            "a run is gone on with as it was begun, only longer or shorter: with --resume give no settings but "
            "--minutes or --epochs, or begin a new run in another folder"
        )
    return changed, length, asked


def _corpus(asked: dict[str, Any]) -> Corpus:
    from sharnn_py.trainer.corpus import read_corpus
    from sharnn_py.trainer.enwik8 import NAME, enwik8

    path = Path(asked["text"])
    if asked["text"] == NAME and not path.exists():
        return enwik8(asked["unit"])
    if not path.is_file():
        raise click.UsageError(f"{path}: there is no such file; give the text to train on")
    return read_corpus(path, asked["unit"], asked["held_out"])


def _introduction(run: Run, asked: dict[str, Any], length: Length) -> str:
    corpus, settings = run.corpus, run.settings
    count = sum(parameter.numel() for parameter in run.model.parameters())
    words = [
        f"{count:,} parameters, {settings.semantics} semantics",
        f"{len(corpus.train):,} {asked['unit']} of {asked['text']}, {len(corpus.vocabulary)} kinds, "
        f"{len(corpus.held_out):,} bytes held out",
        f"for {length}",
    ]
    if run.counters.update:
        words.append(f"from update {run.counters.update:,} on")
    return "; ".join(words)


def _conclude(run: Run, output: Path, display: Display, ended: Ended) -> None:
    from sharnn_py.errors import MissingPackage
    from sharnn_py.trainer.validate import bits_per_byte, scoring_segment

    counters, corpus = run.counters, run.corpus
    if ended.early:
        display.say(f"ended early: {counters.worse} validations were no better than the best")
    if counters.best_bits is not None:
        display.say(
            f"best: {counters.best_bits:.4f} bits per byte of the held-out text, after update {counters.best_update:,},"
            f" in {output}; the last model is in {output / 'last'}"
        )
    if corpus.test and ended.interrupted is None:
        from sharnn_py.checkpoint import load_checkpoint

        best = load_checkpoint(output).model
        bits = bits_per_byte(best.to(run.ranks.device), corpus.vocabulary, corpus.test, scoring_segment(run.settings))
        display.say(f"test text: {bits:.4f} bits per byte")
    if ended.interrupted is not None:
        display.say(
            f"interrupted, and saved after update {counters.update:,}; go on with: sharnn train -o {output} --resume"
        )
        return
    try:
        _plot(output)
    except MissingPackage as error:
        display.say(f"no picture: {error}")
    else:
        display.say(f"curve: {_picture(output)}")
    display.say(f'try: sharnn generate {output} --prompt "..." -n 300 --temperature 0.8')


def _picture(output: Path) -> Path:
    from sharnn_py.trainer.saved import training_folder

    return training_folder(output) / "curve.png"


def _plot(output: Path) -> None:
    from sharnn_py.errors import InputError
    from sharnn_py.trainer.curve import draw
    from sharnn_py.trainer.journal import read_rows

    picture = _picture(output)
    if not picture.parent.is_dir():
        raise InputError(f"{output} holds no training run, and so no curve to draw")
    draw(read_rows(picture.with_name("log.csv")), picture, f"{output.name}: bits per byte")
