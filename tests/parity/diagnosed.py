"""The scene that diagnosis is shown of a small SHA-RNN, with a fault planted in the port or without one."""

import torch

from parity.measure import measure_rounded
from parity.sharnn.faults.plant import planted
from parity.sharnn.names import SMERITY_BLOCK, SMERITY_OUTSIDE_BLOCKS
from parity.sharnn.operations import parameter_key, segment_operations
from parity.subject.scene import Scene
from sharnn_py import JULIA, PAPER, SHARNN, Config
from sharnn_py import model as port
from sharnn_py.weights import from_julia, from_smerity, to_julia, to_smerity
from sharnn_py.weights.smerity import unused_shapes

LENGTHS, BATCH = (4, 5, 5), 3
"""The segments' lengths, from the first; no size is another's double."""
PAPERS = {"semantics": "paper"}
SMERITY = {"semantics": "paper", "kept": "smerity"}
"""Options of `scene_of`: the paper's semantics, and only what Smerity's recordings hold, which leave out most of the
attention."""
SCENES = {
    "julia": {},
    "paper": PAPERS,
    "smerity": SMERITY,
    "paper, tied": {**PAPERS, "tied": True},
    "julia, first segment": {"segment": 1},
    "julia, parameters not recorded": {"recorded_parameters": False},
}
"""Options of `scene_of` by the names that faults have them under."""
PRESET = {"julia": JULIA, "paper": PAPER}


def config_of(semantics, **options):
    sizes = {"vocab": 13, "emb": 8, "hidden": 32, "layers": 3, "heads": 2, "max_memory": 8, "tied": False}
    return Config(**{**sizes, **options}, semantics=semantics)


def fresh(config, dtype, seed=0):
    """A model away from its initial values: the same numbers, of float32, in either dtype."""
    generator = torch.Generator().manual_seed(seed)
    model = SHARNN(config, generator)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(0.5 * torch.randn(p.shape, generator=generator) + ("ln" in name and name.endswith("weight")))
    return model.to(dtype).eval()


def tokens_of(config, segment):
    generator = torch.Generator().manual_seed(101 + segment)
    ids = torch.randint(0, config.vocab, (LENGTHS[segment - 1] + 1, BATCH), generator=generator)
    return ids[:-1], ids[1:]


def run(model, config, before, segment, isolated=None):
    """Every tensor of a segment by its key; with `isolated`, each layer computed from the tensors in that."""
    seen = {}

    def note(name, tensor):
        seen[name] = tensor
        other = None if isolated is None else isolated.get(name)
        return tensor if other is None or other.shape != tensor.shape else other.to(tensor.dtype)

    tokens, targets = tokens_of(config, segment)
    with torch.no_grad():
        logits, after = model(tokens, before, note)
        after = after.detach()
        seen["loss"] = port.nll(logits, targets)
    return {**seen, **named(after, "after")}, after


def named(state, when):
    """The tensors of a state by their keys; a memory of no rows is none before a segment."""
    return {
        f"{when}.blocks.{i}.{part}": tensor
        for i, layer in enumerate(state.layers)
        for part, tensor in zip(("h", "c", "memory"), layer.tensors(), strict=True)
        if tensor.numel() or when == "after"
    }


def kept_by_smerity(config):
    ours = [row[1] for row in SMERITY_OUTSIDE_BLOCKS]
    ours += [row[1].replace("*", str(i)) for i in range(config.layers) for row in SMERITY_BLOCK]
    return {*ours, "loss"}


def loaded(model, config):
    """The model's parameters as the port loads them from a checkpoint of the program whose semantics it has."""
    if config.semantics.boom == "julia":
        return from_julia(to_julia(model.state_dict(), config), config)
    unused = {name: torch.zeros(shape) for name, shape in unused_shapes(config).items()}
    return from_smerity(to_smerity(model.state_dict(), config, unused), config)


def scene_of(
    *changes,
    semantics="julia",
    segment=2,
    kept="all",
    subject_semantics=None,
    recorded_parameters=True,
    **options,
):
    """The scene of `segment` with `changes` planted for the subject, and the keys that are wrong, in order."""
    config = config_of(PRESET[semantics], **options)
    clean, before = fresh(config, torch.float32), None
    for earlier in range(1, segment):
        _, before = run(clean, config, before, earlier)
    reference, after = run(clean, config, before, segment)
    carried = named(after, "after")
    keys = {*reference} if kept == "all" else kept_by_smerity(config)
    keys |= {key for key in carried if key.removeprefix("after.") in keys}
    wide = {key: _wide(tensor) for key, tensor in reference.items() if key in keys}
    wide.update({k: _wide(t) for k, t in (named(before, "before") if before else {}).items()})
    truth, _ = run(clean.double(), config, _double(before), segment, wide)

    subject_config = config if subject_semantics is None else config_of(subject_semantics, **options)
    faulty = fresh(subject_config, torch.float64)
    with planted(*changes):
        faulty.load_state_dict(loaded(clean, config), strict=False)
        subject, _ = run(faulty, subject_config, _double(before), segment, wide)
    tokens, targets = tokens_of(config, segment)
    ids = {"tokens": tokens, "targets": targets}
    parameters = {parameter_key(name): p.detach() for name, p in faulty.named_parameters()}
    operations = segment_operations(subject_config)
    rounding = {k: measure_rounded(reference[k], truth[k], [truth[k].float()]).tolerance for k in truth if k in keys}
    if recorded_parameters:
        wide.update({parameter_key(name): p.detach() for name, p in clean.named_parameters()})
    scene = Scene(operations, {**ids, **wide}, {**subject, **parameters, **ids}, rounding)
    wrong = [
        key
        for key in [*operations]
        if key in keys and key in subject and not _agree(wide[key], subject[key], rounding[key])
    ]
    return scene, wrong


def _wide(tensor):
    return tensor.double() if tensor.is_floating_point() else tensor


def _double(state):
    return None if state is None else state.to(torch.float64)


def _agree(recorded, computed, tolerance):
    return recorded.shape == computed.shape and bool(
        ((recorded == computed) | ((recorded - computed).abs() <= tolerance)).all()
    )
