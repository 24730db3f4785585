"""The packaged model is a real one, and the command's checkpoint is what the other commands take."""

import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from sharnn_py import InputError, TorchSession, load_checkpoint
from sharnn_py.cli import sharnn
from sharnn_py.pretrained.cli import PACKAGED

MOST_BYTES = 8_000_000
HELD_OUT = """  20 He which testifieth these things saith, Surely I come quickly. Amen. Even
so, come, Lord Jesus.
  21 The grace of our Lord Jesus Christ be with you all. Amen.
"""
"""The last verses, which the model was not trained on, as its text has them."""


def written(folder):
    return CliRunner().invoke(sharnn, ["pretrained", "-o", str(folder)])


def test_what_is_written_is_the_packaged_model_in_float32(tmp_path):
    done = written(tmp_path / "model")
    assert done.exit_code == 0, done.output
    assert f'sharnn generate {tmp_path / "model"} --prompt "In the beginning"' in done.output
    packaged, model = load_file(PACKAGED / "model.safetensors"), load_checkpoint(tmp_path / "model").model
    for name, parameter in model.state_dict().items():
        assert packaged[name].dtype == torch.float16
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, packaged[name].float()), name
    assert sum(file.stat().st_size for file in PACKAGED.iterdir()) < MOST_BYTES


def test_it_has_learnt_english(tmp_path):
    written(tmp_path)
    session = TorchSession.load(tmp_path)
    assert session.score(HELD_OUT).bits_per_byte < 1.7  # 2 of a model of three minutes; 4.4 of the bytes' frequencies


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "config.json").write_text("mine")
    done = written(tmp_path)
    assert isinstance(done.exception, InputError)
    assert f"{tmp_path} holds files already" in str(done.exception)
    assert (tmp_path / "config.json").read_text() == "mine"
