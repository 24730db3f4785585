"""Results built by hand, for the reports to show: every kind of case that there is."""

import math
import random
from dataclasses import replace

from parity.measure import Measure, Worst
from parity.results import CaseResult, Comparison, Hint, SuiteResult

ROUNDING = 1e-7
TOLERANCE = 16 * ROUNDING
BLOCK = ("in", "norm", "rnn", "rnn.c", "keys", "attn.q", "attn.scores", "attn.focus", "attn.mix", "boom", "out")
NASTY = "<script>alert('x')</script>&\"\x07\ud800"
"""A name that no report may take for markup, or write as it stands."""
ENVIRONMENT = {
    "sharnn": "0.1.0",
    "torch": "2.13.0+cpu",
    "python": "3.11.7",
    "platform": "Linux x86_64",
    "rounding runs": "4",
    "julia": "1.10.5, Knet 1.4.10, recorded live",
}
PROVENANCE = {
    "implementation": "example/model.jl@ebd62af",
    "sha256": "9f2c41d07be6ff1c0e38b2f2a2e4de1b8f3f7f0f7c4c1c1b0a5d9e6f4b3c2a10",
    "seed": "112",
    "config": '{"emb": 8, "hidden": 32, "layers": 4, "batch": 2, "segments": [7, 5, 9, 4, 3]}',
}
LEDGER = [
    {
        "id": "layer-norm",
        "row": 1,
        "title": "LayerNorm",
        "julia": "std over n-1, eps outside the root",
        "paper": "variance over n, eps inside the root",
        "where": "blocks.*.lnstart",
        "since": "2019-11-26",
        "expected": {"logits": 0.011, "loss": 0.0004},
        "evidence": ["sha_rnn_jl/L1_h1_tied_b2", "docs/semantics.md"],
    },
    {
        "id": "boom",
        "row": 2,
        "title": "Boom's shortcut",
        "julia": "the sum of chunk k, for k below F/H",
        "paper": "the elementwise sum of the chunks",
        "where": "blocks.*.boom",
        "since": "2019-11-26",
        "expected": "6.3 in blocks.1.boom",
        "evidence": "sha_rnn_jl/L4_h1_tied_b2",
    },
]


def measure(units, steps=(), value=0.5):
    """An error of so many units of rounding."""
    error = units * ROUNDING
    worst = Worst((2, 1, 3), value + error, value, value)
    return Measure(units <= 16, "", error, ROUNDING, 2.0, TOLERANCE, worst, tuple(steps))


def comparison(name, end_to_end, isolated=None, verdict=None, *, exact=False, shape=(7, 2, 8), hints=(), where=None):
    group, _, rest = name.partition("/")
    number, _, layer = rest.partition("/")
    numbered = number.isdigit()
    segment = int(number) if numbered else None
    verdict = verdict or (
        "agrees" if end_to_end.agrees else "wrong" if isolated is not None and not isolated.agrees else "inherited"
    )
    where = where or (f"segment {number}" if numbered else "the parameters")
    layer = (layer if group == "eval" else f"{group}/{layer}") if numbered else rest
    return Comparison(
        name=name, recorded=name, where=where, layer=layer, segment=segment, exact=exact, shape=shape,
        end_to_end=end_to_end, isolated=isolated, verdict=verdict, hints=tuple(hints),
    )  # fmt: skip


def exact(name, unequal=0, **options):
    worst = Worst((1, 0), 3, 4, 4) if unequal else None
    found = Measure(not unequal, error=float(unequal), worst=worst)
    return comparison(name, found, found, exact=True, verdict="wrong" if unequal else "agrees", **options)


def case(name, comparisons, **options):
    options = {"provenance": PROVENANCE, "skipped": {"eval/1/x": "given to the subject as its input"}, **options}
    names = frozenset(c.name for c in comparisons)
    recorded = len(names) + len(options["skipped"])
    settings = {"reference": "julia", "subject": "julia", "seconds": 0.42, "compared_names": names, **options}
    return CaseResult(name=name, recorded=recorded, comparisons=comparisons, **settings)


def layers(blocks=4):
    return ["embed", *(f"blocks.{b}.{part}" for b in range(blocks) for part in BLOCK), "final", "logits", "loss"]


def _noise(draw, steps):
    units = 10 ** draw.gauss(-0.3, 0.35)
    return measure(units, [units * draw.uniform(0.2, 1) for _ in range(steps)])


def agreeing_comparisons(seed=0, segments=5, blocks=4, steps=8):
    draw = random.Random(seed)
    out = [exact(f"param/{layer}") for layer in layers(blocks)[:30]]
    for segment in range(1, segments + 1):
        out.append(exact(f"eval/{segment}/x", shape=(7, 2)))
        out += [comparison(f"eval/{segment}/{n}", _noise(draw, steps), _noise(draw, steps)) for n in layers(blocks)]
        out += [comparison(f"grad/{segment}/{n}.weight", _noise(draw, 0)) for n in layers(blocks)[:-1]]
    return out


HINT = Hint(
    "the reference sums each chunk, the subject adds the chunks element by element", "blocks.1.boom", 3.35e6, 0.41
)
SECOND_HINT = Hint("the gates of the reference are in the order i f o c, the subject's i f c o", "blocks.2.rnn", 812, 1)


def diverging(segments=6, blocks=4, steps=16):
    """A layer wrong in every segment, first in segment 2 at step 5; another wrong in isolation; the rest inherits."""
    draw = random.Random(7)
    out = []
    for c in agreeing_comparisons(7, segments, blocks, steps):
        hurt = c.segment is not None and c.segment >= 2 and not c.exact
        depth = layers(blocks).index(c.layer) if c.layer in layers(blocks) else 0
        after = hurt and (c.name.startswith("grad/") or depth > layers().index("blocks.1.boom") or c.segment > 2)
        units = draw.uniform(0.5, 2) * 10 ** (3 + 0.6 * (c.segment or 0)) * (1 + depth / 10)
        grown = [units * 0.8 ** (steps - t) if t >= 5 or c.segment != 2 else 0.4 for t in range(steps)]
        if hurt and c.layer == "blocks.1.boom":
            out.append(comparison(c.name, measure(units, grown), measure(units * 0.9, grown), "wrong", hints=[HINT]))
        elif hurt and c.layer == "blocks.2.rnn" and c.segment == 3:
            wrong = measure(812, [0.2] * 3 + [812] * (steps - 3))
            out.append(comparison(c.name, measure(units, grown), wrong, "wrong", hints=[SECOND_HINT]))
        elif hurt and c.layer == "blocks.3.norm" and c.segment == 4:
            out.append(comparison(c.name, measure(units, grown), measure(41), "wrong"))
        elif after:
            profile = grown if c.end_to_end.steps else ()
            out.append(comparison(c.name, measure(units, profile), c.isolated, "inherited"))
        else:
            out.append(c)
    return out


def infinities():
    worst = Worst((0, 3), -math.inf, -1e9, -1e9)
    strange = Measure(False, "4 of 64 elements are infinite or NaN on one side only", worst=worst)
    lost = Measure(False, "", 1.0, 0.0, 0.0, 0.0, Worst((0,), 1.0, 0.0, 0.0), (0.0, math.inf))
    not_a_number = Measure(
        False, "1 of 4 elements are infinite or NaN on one side only", worst=Worst((2,), math.nan, 0.0, 0.0)
    )
    return [
        comparison("eval/1/embed", measure(0.3), measure(0.3)),
        comparison("eval/1/mask", strange, strange, "wrong"),
        comparison("eval/1/scores", lost, lost, "wrong"),
        comparison("eval/1/logits", not_a_number, measure(0.2), "inherited"),
    ]


def nasty():
    shape = Measure(False, f"recorded with shape (7, 2), the subject has (2, 7) {NASTY}")
    hint = Hint(f"transposed {NASTY}", NASTY, math.inf, 0.0)
    return [comparison(f"eval/1/{NASTY}", shape, shape, "wrong", hints=[hint], where=NASTY)]


def hundreds(count=400, segments=3):
    """A deep model, wrong at one layer in the middle."""
    draw = random.Random(3)
    out = []
    for segment in range(1, segments + 1):
        for n in range(count):
            name, noise = f"eval/{segment}/layers.{n}.attention.output.dense", _noise(draw, 0)
            fault = n >= count // 2 or segment > 1
            wrong = n == count // 2
            end_to_end = measure(10 ** (2 + 3 * n / count)) if fault else noise
            out.append(comparison(name, end_to_end, measure(150) if wrong else noise))
    return out


def long_segment(steps=1024):
    """One wrong layer in a long segment: 1,024 steps, bad from 700."""
    profile = [0.3 + 0.2 * math.sin(t) if t < 700 else 1.01 ** (t - 700) * 20 for t in range(steps)]
    wrong = measure(max(profile), profile)
    return [
        comparison("eval/1/embed", measure(0.2), measure(0.2), shape=(steps, 1, 8)),
        comparison("eval/1/layers.0.rnn", wrong, wrong, shape=(steps, 1, 8)),
        comparison("eval/1/logits", wrong, measure(0.1), shape=(steps, 1, 11)),
    ]


def laid_side_by_side():
    """Two recordings of which nothing could be run: the first difference has the verdict "wrong", as in the JSON."""
    return [
        comparison("eval/1/embed", measure(0.3)),
        comparison("eval/1/norm", measure(5000), verdict="wrong"),
        comparison("eval/1/out", measure(7000), verdict="inherited"),
        comparison("eval/1/logits", measure(3)),
    ]


def several_causes(blocks=3, segments=4):
    """One diagnosis in every block and segment, another beside it in one block."""
    eps = [replace(HINT, description=f"the reference takes eps = {b + 1}e-05; the subject 0.01") for b in range(blocks)]
    out = []
    for segment in range(1, segments + 1):
        for b in range(blocks):
            hints = [eps[b]] if segment == 1 else []
            wrong = measure(500 + b)
            out.append(comparison(f"eval/{segment}/blocks.{b}.norm", wrong, wrong, "wrong", hints=hints))
            out.append(comparison(f"eval/{segment}/blocks.{b}.out", measure(90), measure(0.2), "inherited"))
        out.append(comparison(f"eval/{segment}/blocks.1.rnn", wrong, wrong, "wrong", hints=[SECOND_HINT]))
    return out


def accumulated():
    """Nothing is wrong in isolation, and yet the end is off."""
    growing = [2, 6, 11, 15, 19, 31]
    return [comparison(f"eval/{s}/state", measure(units), measure(0.4)) for s, units in enumerate(growing, 1)]


def rich():
    """A suite with a case of every kind."""
    cases = [
        case("sha_rnn_jl/L4_h1_tied_b2", agreeing_comparisons(1)),
        case("sha_rnn_jl/L4_longseg", diverging(), subject="julia, boom flipped"),
        case("exact/ids", [exact("eval/1/x"), exact("eval/1/y", 3, shape=(7, 2)), exact("eval/2/x", 2)]),
        case("strange/infinities", infinities()),
        case(f"strange/{NASTY}", nasty(), subject=NASTY, provenance={NASTY: NASTY}),
        case("broken", [], problem="broken.safetensors: the header is cut short", skipped={}, provenance={}),
        case("empty", [], skipped={"a": "nobody knows it"}),
        case("deep/hundreds", hundreds(), reference="A", subject="B"),
        case("long/T1024", long_segment()),
        case("accumulated", accumulated()),
    ]
    return SuiteResult(cases, ENVIRONMENT, 24.3, ["a note that a reader should see"])


def agreeing(count=3):
    return SuiteResult([case(f"sha_rnn_jl/case_{n}", agreeing_comparisons(n)) for n in range(count)], ENVIRONMENT, 12.0)


def large(cases=51, comparisons=40_000):
    """As many comparisons as the packaged recordings make, in as many cases, one case in five diverging."""
    each = -(-comparisons // cases)
    blocks = 8
    out = []
    for n in range(cases):
        made = diverging(5, blocks) if n % 5 == 0 else agreeing_comparisons(n, 5, blocks)
        while len(made) < each:
            made += [
                comparison(f"train/{1 + len(made) % 5}/param/w{len(made)}", measure(0.5), measure(0.5), shape=(8, 8))
            ]
        out.append(case(f"sha_rnn_jl/case_{n:02}", made[:each]))
    return SuiteResult(out, ENVIRONMENT, 58.0)
