"""A tiny model of bytes with a vocabulary, and a text for it."""

import pytest
import torch

from sharnn_py import PAPER, SHARNN, Config, TorchSession, Vocabulary, save_checkpoint
from sharnn_py.yarn.indexing import index
from sharnn_py.yarn.reading import Reader

BYTES = [str(byte) for byte in range(256) if byte != 10]
TEXT = """\
In the beginning was the word. The word was with the sea! And the sea was full of ships.

Who calls from the shore? A voice in the wilderness, crying: make straight the way. The ships went home at night;
and the shore was dark. Make straight the path, said a voice in the wilderness. Then all the lamps went out.
"""


def make_model(seed=1, attention_layers=(1,)):
    config = Config(
        vocab=257, emb=8, hidden=24, layers=3, max_memory=16, attention_layers=attention_layers, semantics=PAPER
    )
    model = SHARNN(config, torch.Generator().manual_seed(seed)).eval()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


@pytest.fixture(scope="session")
def model():
    return make_model()


@pytest.fixture(scope="session")
def vocabulary():
    return Vocabulary(["<s>", "<unk>", *BYTES])


@pytest.fixture
def reader(model, vocabulary):
    return Reader(TorchSession(model, vocabulary))


@pytest.fixture(scope="session")
def checkpoint(model, vocabulary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("yarn") / "model"
    save_checkpoint(model, folder, vocabulary)
    return folder


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "ships.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def indexed(model, vocabulary, checkpoint, tmp_path_factory):
    """An index of two texts, which tests only read."""
    folder = tmp_path_factory.mktemp("indexed")
    (folder / "ships.txt").write_text(TEXT)
    (folder / "lamps.txt").write_text("The lamps went out. It's dark, and no voice is heard. Who has lit a lamp?\n" * 3)
    texts = [folder / "ships.txt", folder / "lamps.txt"]
    index(folder / "index", texts, Reader(TorchSession(model, vocabulary)), checkpoint, "sentences", print)
    return folder / "index"
