"""The tolerance can neither hide a difference of semantics nor fail on noise."""

import pytest
import torch

from parity import Measure, Recording, RunMode, measure_exact, measure_rounded
from parity.judge.verdicts import judge
from parity.sharnn.header import program_of
from parity.sharnn.replay import replay
from parity.sharnn.subject import PortOf
from parity.tolerance import FLOOR, MULTIPLE, ROUNDED_RUNS, UNIT, nudge
from sharnn_py import JULIA
from sharnn_py.config import PRESETS
from sharnn_py.layers import LayerNorm
from tests.parity.cut_short import as_far_as

pytestmark = pytest.mark.slow

ULP = UNIT[torch.float32]


def layer_norm(program, width, seed=0, run=0):
    generator = torch.Generator().manual_seed(seed)
    layer = LayerNorm(width, program)
    x = torch.randn(64, width, generator=generator)
    with torch.no_grad():
        layer.weight.copy_(nudge(torch.randn(width, generator=generator), run, "weight"))
        layer.bias.copy_(nudge(torch.randn(width, generator=generator), run, "bias"))
        return layer(x), layer.double()(x.double())


@pytest.mark.parametrize("width", [8, 64, 1024, 4096])
def test_n_for_n_minus_1_is_seen_at_any_width(width):
    """The difference, 1 / (2 width), is far outside what rounding explains, even at the paper's width."""
    recorded, _ = layer_norm("paper", width)
    runs = [layer_norm("julia", width, run=run)[0] for run in range(4)]
    truth = layer_norm("julia", width)[1]
    found = measure_rounded(recorded, truth, runs)
    assert not found.agrees
    assert found.ratio > 10
    assert measure_rounded(runs[3], truth, runs[:3]).agrees


def test_rounding_passes_and_a_hundred_units_do_not():
    truth = torch.linspace(-1, 1, 101, dtype=torch.float64)
    plain = truth.float()
    moved = plain.clone()
    moved[100] += 3 * ULP
    assert measure_rounded(moved, truth, [plain]).agrees
    moved[100] += 100 * ULP
    found = measure_rounded(moved, truth, [plain])
    assert not found.agrees
    assert found.worst.index == (100,)
    assert found.tolerance == FLOOR * ULP


def test_where_float32_scatters_the_tolerance_follows():
    truth = torch.ones(5, dtype=torch.float64)
    runs = [torch.ones(5), torch.ones(5) + 1e-3]
    assert measure_rounded(torch.ones(5) + 0.9 * MULTIPLE * 1e-3, truth, runs).agrees
    assert not measure_rounded(torch.ones(5) + 1.1 * MULTIPLE * 1e-3, truth, runs).agrees


def test_a_norm_moves_as_far_as_what_it_is_the_norm_of():
    """One number may be hit by all float32 runs by chance; the tensor behind it is not."""
    truth = torch.tensor([5.0], dtype=torch.float64)
    moved = truth.float() + 30 * ULP
    assert not measure_rounded(moved, truth, [truth.float()]).agrees
    assert measure_rounded(moved, truth, [truth.float()], least=2 * ULP).agrees


def test_a_tensor_of_zeros_must_be_zeros():
    zeros = torch.zeros(3, dtype=torch.float64)
    assert measure_rounded(torch.zeros(3), zeros, [torch.zeros(3)]).agrees
    assert not measure_rounded(torch.full((3,), 1e-30), zeros, [torch.zeros(3)]).agrees


def test_nan_and_infinity_never_agree_by_accident():
    truth, nan, inf = torch.ones(2, dtype=torch.float64), torch.nan, torch.inf
    for recorded in ([nan, 1.0], [inf, 1.0]):
        assert not measure_rounded(torch.tensor(recorded), truth, [torch.ones(2)]).agrees
    broken = torch.tensor([nan, 1.0], dtype=torch.float64)
    assert not measure_rounded(torch.ones(2), broken, [broken.float()]).agrees
    assert not measure_rounded(torch.ones(2), truth, [torch.tensor([nan, 1.0])]).agrees
    assert not measure_rounded(torch.ones(2), truth, [torch.ones(2), torch.tensor([nan, 1.0])]).agrees
    masked = torch.tensor([-inf, 0.5])
    assert measure_rounded(masked, masked.double(), [masked]).agrees
    assert not measure_rounded(-masked, masked.double(), [masked]).agrees


def test_shapes_must_be_equal_even_where_they_would_broadcast():
    one = torch.ones(1, 3)
    assert not measure_rounded(one, torch.ones(2, 3).double(), [torch.ones(2, 3)]).agrees
    assert not measure_exact(torch.ones(3, dtype=torch.int64), torch.ones(1, 3, dtype=torch.int64)).agrees


def test_integers_and_parameters_agree_exactly_or_not_at_all():
    a = torch.tensor([1.0, 2.0])
    assert measure_exact(a, a.clone()).agrees
    found = measure_exact(a, torch.nextafter(a, torch.tensor(9.0)))
    assert isinstance(found, Measure)
    assert not found.agrees
    assert found.error == 2


def test_nudges_are_about_one_unit_repeatable_and_leave_zero():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    x[0] = 0
    moved = nudge(x, 1, "w")
    assert moved[0] == 0
    assert 0 < float(((moved - x) / x)[1:].abs().max()) <= 1.5 * ULP
    assert torch.equal(moved, nudge(x, 1, "w"))
    assert not torch.equal(moved, nudge(x, 2, "w"))
    assert torch.equal(nudge(x, 0, "w"), x)


@pytest.mark.parametrize("isolated", [False, True], ids=["end_to_end", "isolated"])
@pytest.mark.parametrize("name", ["sha_rnn_jl/L3_h2_tied_b2", "smerity/L4_T1_steps"])
def test_other_float32_runs_of_the_port_never_fail(name, isolated):
    """Twenty runs with other nudges stand for other float32 programs: none is taken for a divergence."""
    recording = as_far_as(name, 2, updates=True)
    semantics = PRESETS[program_of(recording)]
    modes = [RunMode(torch.float64, 0, isolated)]
    modes += [RunMode(torch.float64, run, isolated) for run in range(1, ROUNDED_RUNS + 1)]
    streams = [replay(recording, semantics, mode) for mode in modes]
    others = [replay(recording, semantics, RunMode(torch.float32, 100 + i, isolated)) for i in range(20)]
    count = 0
    for items in zip(*streams, *others, strict=True):
        truth, *rest = items
        if truth.exact or (isolated and truth.end_to_end_only):  # those are compared with the end-to-end tolerance
            continue
        runs = [item.tensor for item in rest[:ROUNDED_RUNS]]
        for other in rest[ROUNDED_RUNS:]:
            found = measure_rounded(other.tensor, truth.tensor, runs)
            assert found.agrees, (truth.name, found.ratio)
            count += 1
    assert count > 2000


@pytest.mark.usefixtures("one_rounded_run")
def test_every_packaged_tensor_in_the_middle_is_watched():
    """One element of each recorded intermediate of a segment, moved by a thousandth of its tensor's size, is seen.

    The layers that take it as input differ too; all that is off in isolation is reported.
    """
    prefix, cut = "eval/2/", as_far_as("sha_rnn_jl/L1_h1_tied_b2", 2)
    names = [n for n, t in cut.tensors.items() if n.startswith(prefix) and t.is_floating_point() and "mask" not in n]
    assert len(names) > 15
    for name in names:
        moved = cut.tensors[name].clone()
        scale = float(moved.abs().max())
        moved.flatten()[-1] += 1e-3 * scale
        recording = Recording("case", contents=({**cut.tensors, name: moved}, cut.metadata))
        comparisons = judge(recording, PortOf(JULIA, "the port"))
        off = [c.name for c in comparisons if not c.end_to_end.agrees and c.tensor_name.is_forward]
        assert off == [name], (name, scale)
        assert next(c.name for c in comparisons if c.verdict == "wrong") == name


def test_a_tensor_with_a_time_axis_knows_its_first_bad_step():
    truth = torch.linspace(0.5, 1, 60, dtype=torch.float64).reshape(5, 4, 3)
    recorded = truth.float()
    recorded[3:, 1] += 1e-3
    found = measure_rounded(recorded, truth, [truth.float()], time_axis=0)
    assert found.first_bad_step == 3
    assert len(found.steps) == 5
    assert found.steps[3] > MULTIPLE > found.steps[2]
    assert measure_rounded(truth.float(), truth, [truth.float()], time_axis=0).first_bad_step is None
    assert measure_rounded(recorded.mT, truth.mT, [truth.mT.float()], time_axis=0).first_bad_step == 3
    assert measure_rounded(recorded, truth, [truth.float()]).first_bad_step is None
