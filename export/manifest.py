"""`manifest.json`: all that a program in any language has to know to serve an export folder.

Nothing in it is taken on trust when a folder is loaded: its form is that of `manifest_schema.json`, its text has the
hash that stands in it, and what it repeats of the config, the files and the weights has to be what these say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import ExportError
from export.rules import rules
from export.schema import fault
from sharnn_py.config import Config
from sharnn_py.errors import ConfigError
from sharnn_py.memory import most_keys_of_a_step
from sharnn_py.text import of_bytes, of_characters
from sharnn_py.vocabulary import Vocabulary

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FORMAT = "sharnn onnx 3"
LOCK_STEP = "sharnn onnx 2"
"""The format before, which is read as well: there the sequences of a step share one mask and can only move together."""
NAME = "manifest.json"
GOLDEN = "golden.json"
SERVING, CHECKING = "serving", "checking"
FOR_CHECKING = ("model.safetensors", GOLDEN)
"""The files that serving does without."""
SCHEMA_FILE = Path(__file__).with_name("manifest_schema.json")
_NO_HASH = "0" * 64
SIZES = {"float32": 4, "float16": 2, "int64": 8, "int8": 1, "uint8": 1, "bool": 1}
"""Bytes of one number of each dtype."""
_STORED = {"F32": "float32", "F16": "float16", "I64": "int64", "I8": "int8", "U8": "uint8"}  # as safetensors has them
_OPENED = {"tensor(float)": "float32", **{f"tensor({dtype})": dtype for dtype in SIZES}}  # as onnxruntime has them


@dataclass(frozen=True)
class Manifest:
    """What an export folder holds and how to use it, as `manifest.json` says it."""

    config: dict[str, Any]
    """Sizes and semantics, as in `config.json`."""
    precision: str
    """"float32" or "float16", of weights, h, c, memory and ring. Logits, mask, scale and bias are always float32."""
    opset: int
    """Version of the ONNX operators."""
    capacity: int
    """Most slots of a ring: as many as the model can attend to, or fewer if the export was given less. 0 without
    attention."""
    rules: dict[str, Any]
    """How a host makes masks and slots, and turns a memory into a ring and back, as numbers."""
    vocabulary: dict[str, Any] | None
    """How text becomes ids and ids become text; None for a model without a vocabulary."""
    sampling: dict[str, Any]
    """How a token is drawn from logits unless a user says otherwise."""
    golden: str
    """The file of tokens and what belongs to them, by which a client in another language is tried."""
    graphs: dict[str, dict[str, Any]]
    """The file, inputs, outputs and weights of every graph."""
    files: dict[str, dict[str, Any]]
    """The sha256 and the size in bytes of every file, and whether it is for serving or only for checking."""
    check: dict[str, Any] | None
    """The figures of `--check`, or None if the export was written without a check."""
    model: str
    """The identity of the model that was exported (`sharnn_py.identity`), which saved states carry."""
    format: str = FORMAT

    @property
    def lock_step(self) -> bool:
        """Whether the sequences of a step can only move together, as in exports of the format before."""
        return self.format == LOCK_STEP

    def to_json(self) -> str:
        """The text of `manifest.json`; its `sha256` is that of the text with 64 zeros in its place."""
        text = json.dumps({**dataclasses.asdict(self), "sha256": _NO_HASH}, indent=2) + "\n"
        return text.replace(f'"{_NO_HASH}"', f'"{hashlib.sha256(text.encode()).hexdigest()}"')

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of the export in `folder`. Raises `ExportError` if it has none that this program reads."""
        path = folder / NAME
        try:
            text = path.read_bytes()
            values = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
        except OSError as error:
            checkpoint = (Path(folder) / "config.json").exists() and isinstance(error, FileNotFoundError)
            instead = f"; it is a checkpoint, of which sharnn export {folder} -o EXPORT makes one" if checkpoint else ""
            why = f"it has no {NAME} ({error.strerror or error}){instead}"
            raise ExportError(f"{folder} is not an export: {why}") from error
        except (ValueError, RecursionError) as error:
            raise ExportError(f"{path} is damaged: {error}") from error
        given = values.get("format") if isinstance(values, dict) else None
        if given not in (FORMAT, LOCK_STEP):
            raise ExportError(f"{path} has format {given!r}, this program reads {FORMAT!r}; export the model again")
        schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
        if found := fault(values, schema, schema):
            raise ExportError(f"{path} is damaged: {found}; export the model again")
        said = values.pop("sha256")
        if hashlib.sha256(text.replace(said.encode(), _NO_HASH.encode())).hexdigest() != said:
            raise ExportError(f"{path} was changed after its export: its sha256 is another; export the model again")
        manifest = cls(**values)
        if found := manifest._contradiction():
            raise ExportError(f"{path} contradicts itself: {found}; export the model again")
        return manifest

    def verify(self, folder: Path, *purposes: str) -> None:
        """Raise `ExportError` unless every file for these purposes is the one that was exported.

        It has the sha256 of the manifest, and the config, the vocabulary and the places of the weights are in the files
        as the manifest has them.
        """
        wrong = []
        for name, entry in self.files.items():
            if entry["for"] not in purposes:
                continue
            try:
                found, size = sha256(folder / name), (folder / name).stat().st_size
            except OSError as error:
                wrong.append(f"{name} cannot be read ({error.strerror or error})")
                continue
            if found != entry["sha256"]:
                wrong.append(
                    f"{name} is not the file that was exported (sha256 {found[:12]}…, expected {entry['sha256'][:12]}…)"
                )
            elif size != entry["bytes"]:
                wrong.append(f"{name} has {size} bytes, expected {entry['bytes']}")
        if wrong:
            raise ExportError(f"{folder} was changed after its export: {'; '.join(wrong)}; export the model again")
        if other := self._other_than(folder):
            raise ExportError(f"{folder}: {other} and the manifest describe different models; export the model again")

    def bytes_of_weights(self, graph: str) -> int:
        """How many bytes the weights of a graph have."""
        return sum(SIZES[at["dtype"]] * math.prod(at["shape"]) for at in self.graphs[graph]["weights"])

    def verify_ports(self, graph: str, session: InferenceSession) -> None:
        """Raise `ExportError` unless the opened `graph` has the inputs and outputs that the manifest gives it."""
        entry = self.graphs[graph]
        for ports, opened in ((entry["inputs"], session.get_inputs()), (entry["outputs"], session.get_outputs())):
            said = [(port["name"], port["dtype"], port["shape"]) for port in ports]
            if said != [(port.name, _OPENED.get(port.type), list(port.shape)) for port in opened]:
                raise ExportError(
                    f"{entry['file']} has other inputs or outputs than the manifest says; export the model again"
                )

    def _contradiction(self) -> str | None:
        """What in the manifest cannot be beside what else is in it."""
        try:
            config = Config.from_json(self.config)
        except ConfigError as error:
            return f"its config is none ({error})"
        if self.rules != rules(config):
            return "its rules are not those of its config"
        most_keys = most_keys_of_a_step(config)
        if not min(most_keys, 1) <= self.capacity <= most_keys:
            return f"its capacity is {self.capacity}, and its model attends to up to {most_keys} rows"
        if self.vocabulary is not None and self.vocabulary["size"] != config.vocab:
            return f"its vocabulary has {self.vocabulary['size']} tokens and its model {config.vocab}"
        state = {port["name"]: port["dtype"] for port in self.graphs["segment"]["inputs"]}
        if state.get("layers.0.h") != self.precision:
            return f"its precision is {self.precision} and that of its state {state.get('layers.0.h')}"
        ports = {port["name"] for port in self.graphs["step"]["inputs"]}
        if self.lock_step == ("due" in ports) or self.lock_step == ({"to_ring", "to_memory"} <= set(self.graphs)):
            return f"its format is {self.format} and its graphs are of another"
        of_graphs: set[str] = set()
        for graph in self.graphs.values():
            of_graphs |= {graph["file"], *(weight["file"] for weight in graph["weights"])}
        if of_graphs & set(FOR_CHECKING):
            return f"its graphs use {', '.join(sorted(of_graphs & set(FOR_CHECKING)))}, which is only for checking"
        used = of_graphs | {"config.json", *FOR_CHECKING, *([self.vocabulary["file"]] if self.vocabulary else [])}
        if odd := sorted(used ^ set(self.files)):
            return f"its files lack, or have without a use, {', '.join(odd)}"
        if self.golden != GOLDEN or (self.vocabulary and self.vocabulary["file"] != "vocabulary.json"):
            return "it calls its own files by other names"
        wrong = [name for name, e in self.files.items() if (e["for"] == CHECKING) != (name in FOR_CHECKING)]
        return f"it has {', '.join(wrong)} for another purpose" if wrong else None

    def _other_than(self, folder: Path) -> str | None:
        """The file in `folder`, whose hashes are right, that says something else than the manifest."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if config != {"model": "sharnn", **self.config}:
            return "config.json"
        if self.vocabulary is not None:
            listed = Vocabulary.load(folder / self.vocabulary["file"])
            if describe_vocabulary(listed) != self.vocabulary:
                return str(self.vocabulary["file"])
        headers: dict[str, Any] = {}
        for graph in self.graphs.values():
            for weight in graph["weights"]:
                file = weight["file"]
                if file not in headers:
                    headers[file] = _tensors_of(folder / file)
                if not _lies_there(weight, headers[file]):
                    return f"{file}, in which {weight['name']} lies elsewhere,"
        return None


def describe_vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    """The manifest's `vocabulary` entry, whose fields are described in `manifest_schema.json`."""
    unit = "byte" if of_bytes(vocabulary) else "character" if of_characters(vocabulary) else "word"
    return {"file": "vocabulary.json", "size": len(vocabulary), "unit": unit, "end_of_line": 0, "unknown": 1}


def sha256(path: Path) -> str:
    """The SHA-256 digest of the file at `path`, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def describe_files(folder: Path, purposes: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The manifest's `files` entry: for each file of `folder` named in `purposes`, its hash, size and purpose."""
    return {
        name: {"sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size, "for": purpose}
        for name, purpose in purposes.items()
    }


def _tensors_of(path: Path) -> dict[str, Any]:
    """Of every tensor in a safetensors file: its dtype, and where in the file its bytes begin and end."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: (_STORED.get(entry["dtype"]), *(8 + length + offset for offset in entry["data_offsets"]))
        for name, entry in header.items()
    }


def _lies_there(weight: Mapping[str, Any], tensors: Mapping[str, Any]) -> bool:
    """Whether a weight, or a tensor of which it is the first part, is where the manifest says."""
    dtype, begin, end = tensors.get(weight["name"], (None, 0, 0))
    size = math.prod(weight["shape"]) * SIZES[weight["dtype"]]
    return bool(dtype == weight["dtype"] and begin == weight["offset"] and begin + size <= end)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there more than once")
    return dict(pairs)


def _refuse(number: str) -> None:
    raise ValueError(f"{number} is not a number of JSON")
