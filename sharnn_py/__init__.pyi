from .baseline import Baseline, BaselineConfig
from .batches import lay_out, random_lengths, segments
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .config import JULIA, PAPER, Config, Semantics
from .errors import CheckpointError, ConfigError, InputError, MissingPackage, SharnnError, WeightsError
from .lamb import MinTrustLAMB, julia_lamb, paper_lamb
from .model import SHARNN, nll
from .sampling import Sampling
from .session import Score, SequenceSession, Session
from .state import LayerState, State
from .text import Decoder, encode
from .torch_session import TorchSession
from .training import Progress, Trained, evaluate, train
from .vocabulary import Vocabulary
from .weights.julia import from_julia, to_julia
from .weights.smerity import from_smerity, to_smerity

__all__ = [
    "JULIA",
    "PAPER",
    "SHARNN",
    "Baseline",
    "BaselineConfig",
    "Checkpoint",
    "CheckpointError",
    "Config",
    "ConfigError",
    "Decoder",
    "InputError",
    "LayerState",
    "MinTrustLAMB",
    "MissingPackage",
    "Progress",
    "Sampling",
    "Score",
    "Semantics",
    "SequenceSession",
    "Session",
    "SharnnError",
    "State",
    "TorchSession",
    "Trained",
    "Vocabulary",
    "WeightsError",
    "encode",
    "evaluate",
    "from_julia",
    "from_smerity",
    "julia_lamb",
    "lay_out",
    "load_checkpoint",
    "nll",
    "paper_lamb",
    "random_lengths",
    "save_checkpoint",
    "segments",
    "to_julia",
    "to_smerity",
    "train",
]
