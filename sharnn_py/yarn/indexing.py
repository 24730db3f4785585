"""Making an index, and going on with one: every stretch of a text that was read is kept, whatever happens next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sharnn_py.errors import CheckpointError, InputError
from sharnn_py.yarn.cutting import Phrase, cut
from sharnn_py.yarn.errors import IndexFolderError
from sharnn_py.yarn.lock import only_writer
from sharnn_py.yarn.manifest import NAME, Manifest, Source, digest
from sharnn_py.yarn.reading import Reader, Stretch, Tokens, stretches
from sharnn_py.yarn.sense import Sense
from sharnn_py.yarn.store import Store

Tell = Callable[[str], None]
"""Takes a line to show."""
EVERY = 10.0
"""Seconds between lines about progress."""


@dataclass(frozen=True)
class _Text:
    """A text to read."""

    path: Path
    data: bytes
    phrases: list[Phrase]
    tokens: Tokens


def index(
    folder: Path, texts: Sequence[Path], reader: Reader, model: Path, how: str, tell: Tell, replace: bool = False
) -> Manifest:
    """Add `texts` to the index in `folder`, which is made if need be, and make all of it searchable.

    `reader` is of the model in the folder `model`. `how` is what texts are cut by (`cut`). A text that the index has is
    not read again, and one of which a part was read is read on from there. With `replace` a text that has changed is
    read anew, in the place of what it was.

    Raises `IndexFolderError` for an index of another model or another cut, one that is being written to, or a full
    disk, with everything indexed before kept; `InputError` for a text that has changed, or that the model cannot read;
    `ConfigError` for a cut that is none; `OSError`.
    """
    prepared = [_prepared(path, reader, how) for path in texts]
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        manifest = _manifest(folder, reader, model, how)
        store = Store(folder / "tables")
        for text in prepared:
            number = _entered(manifest, folder, store, text, replace)
            source = manifest.sources[number]
            if source.whole:
                tell(f"{text.path}: indexed already")
                continue
            manifest.save(folder)
            _read(folder, store, reader, number, text, tell)
            source.whole = True
        manifest.save(folder)
        if not manifest.edition or manifest.published != [source.sha256 for source in manifest.sources if source.whole]:
            _publish(folder, store, manifest, tell)
        _drop_states(folder, "*")
    return manifest


def _prepared(path: Path, reader: Reader, how: str) -> _Text:
    data = path.read_bytes()
    phrases = cut(data, how)
    if not phrases:
        raise InputError(f"{path} has no {'phrases' if data.strip() else 'text'} to index; give another text")
    try:
        return _Text(path, data, phrases, Tokens.of(reader.vocabulary, data, phrases))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _manifest(folder: Path, reader: Reader, model: Path, how: str) -> Manifest:
    """That of the index in `folder`, or a new one."""
    identity = reader.session.identity
    if (folder / NAME).exists():
        manifest = Manifest.load(folder)
        manifest.require_model(identity, folder)
        if manifest.cut != how:
            raise IndexFolderError(
                f"{folder} holds texts cut by {manifest.cut}, and {how} was asked for; give --cut {manifest.cut}, or "
                "another folder"
            )
        return manifest
    if any(path.name != "lock" for path in folder.iterdir()):
        raise IndexFolderError(
            f"{folder} holds other files, and is no index; give a folder that is empty, or a new one"
        )
    return Manifest(identity, str(model.resolve()), reader.vocabulary.identity, how, reader.segment, reader.blocks)


def _entered(manifest: Manifest, folder: Path, store: Store, text: _Text, replace: bool) -> int:
    """The number of a text in the manifest, which it is entered into if need be."""
    path, sha256 = str(text.path.resolve()), digest(text.data)
    for number, source in enumerate(manifest.sources):
        if source.path == path and source.sha256 == sha256:
            return number
        if source.path == path:
            if not replace:
                raise InputError(
                    f"{text.path} has changed since it was indexed into {folder}; give --replace to read it anew, in "
                    "the place of what it was, or index it into another folder"
                )
            manifest.sources[number] = Source(source.name, path, sha256, len(text.data), len(text.phrases))
            manifest.save(folder)  # before anything is deleted: what is not whole is not believed
            store.forget_read(number)
            _drop_states(folder, str(number))
            return number
    taken = {source.name for source in manifest.sources}
    name = next(name for name in (text.path.name, str(text.path), path) if name not in taken)
    manifest.sources.append(Source(name, path, sha256, len(text.data), len(text.phrases)))
    return len(manifest.sources) - 1


def _read(folder: Path, store: Store, reader: Reader, number: int, text: _Text, tell: Tell) -> None:
    """Read text `number` from where it was left to its end."""
    plan = stretches(text.tokens.bounds)
    done = _taken_up(folder, store, reader, number, plan)
    began, said = time.monotonic(), time.monotonic()
    for stretch in plan:
        if stretch.first < done:
            continue
        pooled = reader.read(text.tokens, stretch)
        # The state first: once the rows are there, the state after them is too.
        reader.session.save_state(_state(folder, number, stretch.last))
        rows = [
            (phrase.start, phrase.end, phrase.place, _shown(text.data[phrase.start : phrase.end]))
            for phrase in text.phrases[stretch.first : stretch.last]
        ]
        store.add_read(number, stretch.first, rows, pooled)
        _drop_states(folder, str(number), but=stretch.last)
        now = time.monotonic()
        if now > said + EVERY or stretch is plan[-1]:
            said = now
            tell(_progress(text, plan, stretch, done, now - began))


def _taken_up(folder: Path, store: Store, reader: Reader, number: int, plan: Sequence[Stretch]) -> int:
    """Put the reader where reading of text `number` ended; how many of its phrases have been read."""
    done = store.read_so_far(number)
    if done in [stretch.last for stretch in plan]:
        try:
            reader.session.load_state(_state(folder, number, done))
            return done
        except (CheckpointError, InputError):
            if done == plan[-1].last:  # nothing is left to read
                return done
    store.forget_read(number)
    reader.begin()
    return 0


def _progress(text: _Text, plan: Sequence[Stretch], stretch: Stretch, done: int, seconds: float) -> str:
    phrases = stretch.last - done
    read = text.phrases[stretch.last - 1].end - (text.phrases[done].start if done else 0)
    left = len(text.data) - text.phrases[stretch.last - 1].end
    ending = "" if stretch is plan[-1] else f", {_clock(left * seconds / read)} left"
    return (
        f"{text.path}: {stretch.last:,} of {len(text.phrases):,} phrases, {phrases / seconds:.0f} phrases/s, "
        f"{read / seconds / 1e3:.1f} kB/s{ending}"
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _publish(folder: Path, store: Store, manifest: Manifest, tell: Tell) -> None:
    """Make what was read searchable: an edition of its own, which `yarn.json` names once it is whole."""
    whole = {number: source.name for number, source in enumerate(manifest.sources) if source.whole}
    edition = manifest.edition + 1
    sense = Sense.fit(store.pooled(list(whole)), manifest.blocks)
    sense.save(sense_file(folder, edition))
    count = store.publish(edition, whole, sense)
    manifest.edition, manifest.published = edition, [manifest.sources[number].sha256 for number in whole]
    manifest.save(folder)
    store.drop_but(edition)
    for old in folder.glob("sense-*.safetensors"):
        if old != sense_file(folder, edition):
            old.unlink()
    tell(f"{folder}: {count:,} phrases of {len(whole)} text{'s' * (len(whole) > 1)} can be searched")


def sense_file(folder: Path, edition: int) -> Path:
    """The file of the map from pooled hidden states to the vectors of an edition."""
    return folder / f"sense-{edition}.safetensors"


def _state(folder: Path, number: int, phrase: int) -> Path:
    """The file of the state after so many phrases of a text."""
    return folder / f"state-{number}-{phrase}.safetensors"


def _drop_states(folder: Path, number: str, but: int = -1) -> None:
    for file in folder.glob(f"state-{number}-*.safetensors"):
        if not file.stem.endswith(f"-{but}"):
            file.unlink()


def _shown(data: bytes) -> str:
    """A phrase on one line."""
    return " ".join(data.decode("utf-8", "replace").split())
