"""Every backward pass in tape.jl and reference.jl against central differences; and that a wrong one is seen.

Central differences with a step of 2^-17 are off by its square, 6e-11, times a sixth of the third derivative, and by
the rounding of a loss of some 10, 1e-15, over twice the step: 1e-10 relative, measured at most 9e-10. In float32 the
tape may be off by 16 units of rounding; measured at most 2. In both a wrong backward pass is off by far more than 1e-3.
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import julia_bridge
from julia_bridge import Worker

SOURCE = Path(julia_bridge.__path__[0]) / "julia"
PROBE = Path(__file__).with_name("tape_probe.jl")
OPERATIONS = re.findall(r'^    "(.+?)" => \(', PROBE.read_text(), re.MULTILINE)
ALLOWED = {"float64": 1e-8, "float32": 16 * 2.0**-23}
WRONG = 1e-3


def errors(worker, operation, dtype):
    """How far the tape's gradient by every input is from central differences, over the largest of these numbers."""
    same, pairs = worker.call("TapeProbe.both", operation, dtype == "float32")
    assert same, f"{operation}: the tracked value is not the plain one"
    for found, expected in pairs:
        assert (found.dtype, found.shape) == (dtype, expected.shape), operation
    return [np.abs(found - expected).max() / np.abs(expected).max() for found, expected in pairs]


@pytest.fixture(scope="module")
def julia(worker):
    worker.include(SOURCE / "load.jl")
    worker.include(PROBE)
    return worker


def test_every_operation_is_tried(julia):
    assert sorted(OPERATIONS) == julia.call("TapeProbe.operations")


@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_gradient_is_the_slope(operation, dtype, julia):
    assert max(errors(julia, operation, dtype)) <= ALLOWED[dtype]


FAULTS = [
    ("add a vector", "tape.jl", "(x̄.total = zeros(R, x̄.size))", "(x̄.total = ones(R, x̄.size))"),
    ("add a vector", "tape.jl", "sum(g; dims = repeated)", "maximum(g; dims = repeated)"),
    ("subtract", "tape.jl", "(ȳ -> ȳ, ȳ -> .-ȳ)", "(ȳ -> ȳ, ȳ -> ȳ)"),
    ("multiply", "tape.jl", "(ȳ -> ȳ .* b, ȳ -> ȳ .* a)", "(ȳ -> ȳ .* b, ȳ -> ȳ .* b)"),
    ("divide", "tape.jl", ".-ȳ .* y ./ b", ".-ȳ .* y"),
    (
        "exp",
        "tape.jl",
        "partials(::typeof(exp), y, a) = (ȳ -> ȳ .* y,)",
        "partials(::typeof(exp), y, a) = (ȳ -> ȳ .* a,)",
    ),
    ("log", "tape.jl", "ȳ ./ a,", "ȳ ./ y,"),
    ("tanh", "tape.jl", "1 .- y .* y", "1 .- y"),
    ("sigm", "reference.jl", "ȳ .* y .* (1 .- y)", "ȳ .* y .* y"),
    ("gelu", "reference.jl", "s + a * x * s", "s + x * s"),
    ("bmm", "reference.jl", "add!(ȳ, bmm(transposed(a), z̄))", "add!(ȳ, bmm(transposed(a), 2 .* z̄))"),
    ("softmax", "reference.jl", "e ./ sum(e; dims = 2)", "e ./ sum(constant(e); dims = 2)"),
    ("nll", "reference.jl", "log.(sum(exp.(logits); dims = 1))", "log.(constant(sum(exp.(logits); dims = 1)))"),
    ("product", "tape.jl", "mul!(total!(w̄), ȳ, b', true, true)", "mul!(total!(w̄), ȳ, b', true, false)"),
    ("product", "tape.jl", "mul!(total!(x̄), a', ȳ, true, true)", "mul!(total!(x̄), a', ȳ, true, false)"),
    ("adjoint", "tape.jl", "add!(x̄, ȳ')", "add!(x̄, ȳ)"),
    ("permutedims", "tape.jl", "invperm(axes)", "axes"),
    ("indices", "tape.jl", "view(total!(x̄), indices...) .+= ȳ", "view(total!(x̄), indices...) .= ȳ"),
    ("columns", "tape.jl", "columns[i]) .+= view(ȳ, :, i)", "columns[i]) .= view(ȳ, :, i)"),
    ("cat after a constant", "tape.jl", "get(ends, i - 1, 0)+1:ends[i]", "1:ends[i]-get(ends, i - 1, 0)"),
    ("sum along an axis", "tape.jl", "total!(x̄) .+= ȳ, sum(", "total!(x̄) .+= 2 .* ȳ, sum("),
    ("mean", "tape.jl", "ȳ ./ x̄.size[dims]", "ȳ"),
    ("std", "tape.jl", "(size(a, dims) - 1)", "size(a, dims)"),
]
"""An operation, and a change of a source that makes its backward pass wrong."""


@pytest.fixture(scope="module")
def another(installation):
    with Worker(timeout=300) as worker:
        yield worker


@pytest.mark.parametrize(("operation", "file", "right", "wrong"), FAULTS)
def test_a_wrong_backward_pass_is_seen(operation, file, right, wrong, another, tmp_path):
    folder = Path(shutil.copytree(SOURCE, tmp_path / "julia"))
    text = (folder / file).read_text()
    assert text.count(right) == 1
    (folder / file).write_text(text.replace(right, wrong))
    another.include(folder / "bridge.jl")
    another.include(PROBE)
    assert max(errors(another, operation, "float64")) > WRONG
