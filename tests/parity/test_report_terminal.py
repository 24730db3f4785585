"""What the terminal says of a result."""

import re

import pytest

from parity.report import terminal, words
from tests.parity import report_samples as samples


@pytest.fixture
def shown(capsys):
    def show(result):
        terminal.show(result)
        return capsys.readouterr().out

    return show


@pytest.fixture
def rich(shown):
    return shown(samples.rich())


def section(text, name):
    """What is said of one diverging case."""
    return text.split(f"\n{name} diverges")[1].split("\n\n" + "sha_rnn_jl")[0]


def test_the_verdict_is_the_last_line(shown):
    assert shown(samples.agreeing()).splitlines()[-1] == "AGREEMENT: all 3 recordings agree, in 12 s"
    assert shown(samples.rich()).splitlines()[-1] == "DIVERGENCE: of 10 recordings, 8 diverge and 1 could not be run"


def test_nothing_compared_is_no_agreement(shown):
    nothing = samples.SuiteResult([], {}, 0.0)
    assert shown(nothing).splitlines()[-1] == "ERROR: no recording was compared"


def test_cases_have_their_subject(rich):
    heading, *rows = rich.splitlines()[1:]
    assert heading.split()[:2] == ["recording", "subject"]
    assert any(row.startswith("sha_rnn_jl/L4_longseg") and "julia, boom flipped" in row for row in rows)


def test_the_first_wrong_layer_comes_with_its_errors_and_diagnosis(rich):
    lines = section(rich, "sha_rnn_jl/L4_longseg").splitlines()[1:]
    assert lines[0] == "  first: eval/2/blocks.1.boom (segment 2), the first layer that is wrong in isolation"
    assert lines[1].startswith("  isolated: 0.00448 from the truth, 2,800 times the 1.6e-06 that float32 rounding")
    assert lines[2].startswith("  end to end: 0.00498 from the truth, 3,110 times")
    assert lines[3].startswith(
        "  worst element [2, 1, 3]: recorded 0.504483553, subject 0.5, truth (subject in float64)"
    )
    assert lines[4] == "  first bad step: 5 (of 16)"
    assert lines[5].startswith("  why: the reference sums each chunk, the subject adds the chunks element by element")
    assert "reduces the error from 3.35e+06 to 0.41 units of rounding" in lines[5]


def test_what_follows_counts_what_is_inherited_and_names_logits_and_loss(rich):
    line = next(line for line in section(rich, "sha_rnn_jl/L4_longseg").splitlines() if "consequences:" in line)
    case = samples.rich().cases[1]
    assert f"(inherited: {len(case.inherited)}, wrong in isolation: {len(case.wrong) - 1})" in line
    assert "eval/2/logits is off by 0.0152" in line
    assert "eval/2/loss is off by 0.0156" in line


def test_other_wrong_layers_are_listed_once_each_with_their_segments(rich):
    table = section(rich, "sha_rnn_jl/L4_longseg").split("also wrong in isolation")[1]
    rows = [line.split() for line in table.splitlines()[1:4]]
    assert [row[:2] for row in rows] == [
        ["eval/3/blocks.1.boom", "3-6"],
        ["eval/3/blocks.2.rnn", "3"],
        ["eval/4/blocks.3.norm", "4"],
    ]
    assert " ".join(rows[1]).endswith("the subject's i f c o")
    assert rows[2][-1] == "2.56"


def test_growth_has_a_column_for_every_segment(rich):
    table = section(rich, "sha_rnn_jl/L4_longseg").split("units of rounding  ")[1].splitlines()
    assert table[0].split() == ["1", "2", "3", "4", "5", "6"]
    assert table[1].split()[:5] == ["end", "to", "end", "2.97", "169,000"]
    assert table[2].split()[:3] == ["isolated", "3.53", "44,800"]


def test_growth_over_many_segments_keeps_the_first_and_the_last(shown):
    many = [samples.comparison(f"eval/{n}/state", samples.measure(n), samples.measure(1)) for n in range(1, 101)]
    text = shown(samples.SuiteResult([samples.case("many", many)], {}, 1.0))
    columns = text.split("in units of rounding")[1].splitlines()[0].split()
    assert (columns[0], columns[-1], len(columns)) == ("1", "100", 10)


def test_an_error_that_no_layer_makes_in_isolation_is_said_to_be_so(rich):
    said = section(rich, "accumulated")
    assert "first: eval/5/state (segment 5), the first that is off; no layer is wrong in isolation" in said
    assert "why:" not in said


def test_what_cannot_be_measured_is_said_in_words(rich):
    assert "elements that differ: 3; all should be equal" in section(rich, "exact/ids")
    assert re.search("eval/2/x +2 +elements that differ: 2; all should be equal", section(rich, "exact/ids"))
    assert "4 of 64 elements are infinite or NaN on one side only" in section(rich, "strange/infinities")
    assert "nothing in this recording could be compared" in section(rich, "empty")
    assert "broken could not be run: broken.safetensors: the header is cut short" in rich


def test_names_are_neither_markup_nor_commands_to_the_terminal(shown):
    odd = samples.case("a [red]b[/red] \x1b[31m", [samples.exact("eval/1/[bold]x[/]\x9b", 1)], subject="[/]")
    text = shown(samples.SuiteResult([odd], {}, 1.0))
    assert "a [red]b[/red] \ufffd[31m" in text
    assert "eval/1/[bold]x[/]\ufffd" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("numbers", "said"),
    [([], ""), ([4], "4"), ([1, 2, 3, 5], "1-3, 5"), ([1, 3, 4], "1, 3-4")],
)
def test_ranges(numbers, said):
    assert words.ranges(numbers) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (999.6, "1,000"), (44_837.0, "44,800"), (3.351e6, "3.35e+06"), (1.6e-6, "1.6e-06")],
)
def test_numbers_are_short(value, said):
    assert words.short(value) == said


def test_a_line_goes_to_stderr_for_every_finished_case(capsys):
    with terminal.progress() as finished:
        for case in samples.rich().cases[:2]:
            finished(case)
    said = capsys.readouterr().err
    assert said == "sha_rnn_jl/L4_h1_tied_b2: agrees (0.4 s)\nsha_rnn_jl/L4_longseg: diverges (0.4 s)\n"
