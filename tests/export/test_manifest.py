"""Nothing in a manifest is taken on trust: whatever is changed in it, the folder is refused in one sentence."""

import copy
import json
import shutil

import jsonschema
import pytest

from export import ExportError, Manifest, Session
from export.manifest import SCHEMA_FILE
from export.schema import fault
from sharnn_py.errors import SharnnError
from tests.export.edited_manifest import edit

SCHEMA = json.loads(SCHEMA_FILE.read_text())


def deep(values, *path):
    for name in path:
        values = values[name]
    return values


def put(*path_and_value):
    *path, name, value = path_and_value
    return lambda values: deep(values, *path).__setitem__(name, value)


def drop(*path):
    *path, name = path
    return lambda values: deep(values, *path).pop(name)


def rename(new, *path):
    *path, name = path
    return lambda values: deep(values, *path).__setitem__(new, deep(values, *path).pop(name))


EDITS = [
    (put("config", "max_memory", 5), "its rules are not those of its config"),
    (put("config", "max_memory", "6"), r"config\.max_memory is \"6\"; it must be integer"),
    (put("config", "max_memory", 0), r"config\.max_memory is 0; it must be at least 1"),
    (put("config", "emb", 13), "its config is none .*heads is 3"),
    (put("config", "attention_layers", [0, 9]), "its config is none .*attention_layers"),
    (put("config", "attention_layers", [0, None]), r"config\.attention_layers\[1\] is null"),
    (put("config", "hidden", 48), "config.json and the manifest describe different models"),
    (put("config", "tied", False), "config.json and the manifest describe different models"),
    (put("config", "semantics", "boom", "mine"), r"config\.semantics\.boom is \"mine\"; it must be one of \"julia\""),
    (put("config", "semantics", {}), r"attention_dropout, .* missing or unknown in config\.semantics"),
    (put("config", "colour", 1), "colour missing or unknown in config"),
    (drop("config", "heads"), "heads missing or unknown in config"),
    (put("precision", "float16"), "its precision is float16 and that of its state float32"),
    (put("precision", "float64"), 'precision is "float64"'),
    (put("opset", "17"), "opset is"),
    (put("capacity", 0), "its capacity is 0, and its model attends to up to [67] rows"),
    (put("capacity", 99), "its capacity is 99"),
    (put("capacity", 6.5), r"capacity is 6\.5; it must be integer"),
    (put("capacity", True), "capacity is true; it must be integer"),
    (put("rules", {}), "its rules are not those"),
    (put("rules", "mask", "dropped", 0, "plus", -7), "its rules are not those"),
    (put("rules", "mask", "dropped", []), r"rules\.mask\.dropped has 0 entries"),
    (put("rules", "ring", "most_keys", 5), "its rules are not those"),
    (put("vocabulary", None), "without a use, vocabulary.json"),
    (put("vocabulary", "size", 30), "its vocabulary has 30 tokens and its model 29"),
    (put("vocabulary", "unit", "word"), "vocabulary.json and the manifest describe different models"),
    (put("vocabulary", "end_of_line", 3), "vocabulary.json and the manifest describe different models"),
    (put("vocabulary", "file", "config.json"), "without a use, vocabulary.json"),
    (put("sampling", "temperature", -1), r"sampling\.temperature is -1; it must be at least 0"),
    (put("sampling", "top_k", 0.5), r"sampling\.top_k is 0\.5; it must be integer or null"),
    (put("golden", "config.json"), "it calls its own files by other names"),
    (put("golden", "../golden.json"), r"golden is \"\.\./golden\.json\", which does not have the form"),
    (put("graphs", {}), "segment, step missing or unknown in graphs"),
    (drop("graphs", "step"), "step missing or unknown in graphs"),
    (put("graphs", "segment", "file", "../segment.onnx"), r"graphs\.segment\.file is \"\.\./segment\.onnx\", which"),
    (put("graphs", "segment", "file", "/etc/passwd"), r"graphs\.segment\.file is \"/etc/passwd\", which"),
    (put("graphs", "segment", "file", "other.onnx"), "without a use, other.onnx, segment.onnx"),
    (put("graphs", "segment", "inputs", []), r"graphs\.segment\.inputs has 0 entries"),
    (put("graphs", "segment", "inputs", 0, "name", "ids"), "segment.onnx has other inputs or outputs than"),
    (put("graphs", "segment", "inputs", 0, "shape", ["B", "T"]), "segment.onnx has other inputs or outputs"),
    (put("graphs", "segment", "outputs", 0, "dtype", "float16"), "segment.onnx has other inputs or outputs"),
    (put("graphs", "step", "weights", 0, "offset", 8), r"weights\.safetensors, in which .* lies elsewhere"),
    (put("graphs", "step", "weights", 0, "offset", -4), "offset is -4; it must be at least 0"),
    (put("graphs", "step", "weights", 0, "shape", [9999, 9999]), "lies elsewhere"),
    (put("graphs", "step", "weights", 0, "dtype", "float16"), "lies elsewhere"),
    (put("graphs", "step", "weights", 0, "name", "nothing"), "nothing lies elsewhere"),
    (put("graphs", "step", "weights", 0, "file", "model.safetensors"), "its graphs use model.safetensors, which is"),
    (put("files", {}), "its files lack, or have without a use, config.json, "),
    (put("files", []), r"files is \[\]; it must be object"),
    (drop("files", "weights.safetensors"), "its files lack, or have without a use, weights.safetensors"),
    (drop("files", "config.json"), "its files lack, or have without a use, config.json"),
    (drop("files", "golden.json"), "its files lack, or have without a use, golden.json"),
    (rename("../config.json", "files", "config.json"), r"a name in files is \"\.\./config\.json\", which"),
    (rename("a/../../b", "files", "config.json"), "a name in files is"),
    (put("files", "config.json", "for", "checking"), "it has config.json for another purpose"),
    (put("files", "weights.safetensors", "for", "checking"), "it has weights.safetensors for another purpose"),
    (put("files", "model.safetensors", "for", "serving"), "it has model.safetensors for another purpose"),
    (put("files", "config.json", "for", "fun"), r"files\.config\.json\.for is \"fun\"; it must be one of"),
    (put("files", "config.json", "sha256", "0" * 63), "sha256 is"),
    (put("files", "config.json", "sha256", "1" * 64), "config.json is not the file that was exported"),
    (put("files", "config.json", "bytes", -1), "bytes is -1"),
    (put("files", "config.json", "bytes", 7), r"config\.json has \d+ bytes, expected 7"),
    (put("files", "photo.jpg", {"sha256": "1" * 64, "bytes": 1, "for": "checking"}), "without a use, photo.jpg"),
    (put("check", {}), "check is|left_out, rows missing or unknown in check"),
    (put("check", "passed"), "check is"),
    (put("model", None), "model is null; it must be string"),
    (put("model", "a" * 63), "model is .*, which does not have the form"),
    (drop("model"), "model missing or unknown"),
    (put("format", None), "has format None"),
    (drop("format"), "has format None"),
    (drop("check"), "check missing or unknown"),
    (drop("vocabulary"), "vocabulary missing or unknown"),
]  # fmt: skip
# To Python's `$`, and so to jsonschema, a line break at the end is none.
LINE_BREAK = (rename("config.json\n", "files", "config.json"), "a name in files is")


@pytest.fixture
def copied(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


@pytest.mark.parametrize(("change", "message"), [*EDITS, LINE_BREAK], ids=range(len(EDITS) + 1))
def test_an_edited_manifest_is_refused_even_under_a_right_hash(copied, change, message):
    edit(copied, change)
    with pytest.raises(SharnnError, match=message) as raised:
        Session.load(copied)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [
    put("sampling", "temperature", 0.5), put("check", {"rows": [], "left_out": []}), put("opset", 18),
    put("graphs", "segment", "inputs", 0, "meaning", "something else"),
])  # fmt: skip
def test_what_contradicts_nothing_is_refused_by_the_manifests_own_hash(copied, change):
    path = copied / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(ExportError, match="was changed after its export: its sha256 is another; export the model"):
        Session.load(copied)


def test_the_hash_is_of_the_text_with_zeros_in_its_place(exported):
    import hashlib

    text = (exported / "manifest.json").read_text()
    said = json.loads(text)["sha256"]
    assert hashlib.sha256(text.replace(said, "0" * 64).encode()).hexdigest() == said


def test_a_manifest_that_is_right_under_a_right_hash_loads(copied):
    edit(copied, lambda values: None)
    assert Manifest.load(copied) == Manifest.load(copied)
    Session.load(copied)


@pytest.mark.parametrize(("text", "message"), [
    ('{"format": "sharnn onnx 3", "format": "sharnn onnx 3"}', "'format' is there more than once"),
    ('{"format": "sharnn onnx 3", "opset": NaN}', "NaN is not a number of JSON"),
    ("[" * 100_000, "is damaged"),
    ("\xff", "is damaged"),
    ('"sharnn onnx 3"', "has format None"),
])  # fmt: skip
def test_what_is_not_json_is_refused(copied, text, message):
    (copied / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ExportError, match=message):
        Session.load(copied)


def test_another_models_config_and_vocabulary_are_refused_under_right_hashes(copied):
    from tests.export.edited_manifest import rehash

    vocabulary = copied / "vocabulary.json"
    kept = vocabulary.read_text()
    vocabulary.write_text(json.dumps([*json.loads(kept), "extra"]))
    rehash(copied)
    with pytest.raises(ExportError, match=r"vocabulary\.json and the manifest describe different models"):
        Session.load(copied)
    vocabulary.write_text(kept)
    (copied / "config.json").write_text("[]")
    rehash(copied)
    with pytest.raises(ExportError, match=r"config\.json and the manifest describe different models"):
        Session.load(copied)


@pytest.mark.slow
def test_the_schema_is_one_and_every_manifest_follows_it(exported, export_of, config):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["title"] == Manifest.load(exported).format
    folders = [exported, export_of(config, {"check": True, "capacity": 2}, attention_layers=(1,))[1]]
    folders.append(export_of(config, {"precision": "float16"}, attention_layers=(), vocab=5)[1])
    for folder in folders:
        jsonschema.validate(json.loads((folder / "manifest.json").read_text()), SCHEMA)


@pytest.mark.slow
@pytest.mark.parametrize("config", ["paper"], indirect=True)
def test_the_schema_is_read_here_as_jsonschema_reads_it(exported):
    """Every edit above, and every value of a manifest replaced by others."""
    validator = jsonschema.Draft202012Validator(SCHEMA)
    right = shortened(json.loads((exported / "manifest.json").read_text()))
    right["check"] = {"rows": [dict(graph="step", what="h", compared=1, rms=0.1, largest=None, allowed_rms=1,
                                    allowed_largest=1.5, passed=True)], "left_out": ["all"]}  # fmt: skip
    seen = set()
    for wrong in (*(edited(right, change) for change, _ in EDITS), *replaced(right)):
        verdict = fault(wrong, SCHEMA, SCHEMA) is None
        assert verdict == validator.is_valid(wrong), fault(wrong, SCHEMA, SCHEMA)
        seen.add(verdict)
    assert seen == {True, False}


def edited(values, change):
    values = copy.deepcopy(values)
    change(values)
    return values


def shortened(values):
    """`values` with two graphs, and one entry of each list in them."""
    graphs = {name: values["graphs"][name] for name in ("segment", "step")}
    graphs = {
        graph: {name: value if name == "file" else value[:1] for name, value in entry.items()}
        for graph, entry in graphs.items()
    }
    return {**values, "graphs": graphs}


def replaced(values):
    """`values` with one thing in it replaced, for every thing in it, of lists the first entry alone."""
    others = [None, True, -1, 0.5, 10**6, "", "x", "a/b", [], [1], {}, {"x": 1}]

    def places(value, path):
        yield path
        entries = (
            value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
        )
        for name, entry in entries:
            yield from places(entry, (*path, name))

    for path in places(values, ()):
        for other in others if path else []:
            yield edited(values, put(*path, other))


def test_an_export_of_the_version_before_says_to_export_again(copied):
    path = copied / "manifest.json"
    values = json.loads(path.read_text())
    old = {name: values[name] for name in ("config", "precision", "opset", "capacity", "graphs", "files", "check")}
    path.write_text(json.dumps({**old, "rules": {}, "format": "sharnn onnx 1"}))
    with pytest.raises(ExportError, match="has format 'sharnn onnx 1', this program reads 'sharnn onnx 3'; export the"):
        Session.load(copied)
