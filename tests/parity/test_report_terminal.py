"""What the terminal says of a result."""

import io
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
    heading, *rows = rich.splitlines()[2:]
    assert heading.split()[:2] == ["recording", "subject"]
    assert any(row.startswith("sha_rnn_jl/L4_longseg") and "julia, boom flipped" in row for row in rows)


def test_the_first_wrong_layer_comes_with_its_errors_and_diagnosis(rich):
    lines = section(rich, "sha_rnn_jl/L4_longseg").splitlines()[1:]
    assert lines[0] == "  first: eval/2/blocks.1.boom (segment 2), the first layer that is wrong in isolation"
    assert (
        lines[1] == "  isolated: 0.00448 from the truth, 44,800 units of rounding (16 are allowed; one is 1e-07 here)"
    )
    assert lines[2].startswith("  end to end: 0.00498 from the truth, 49,800 units of rounding")
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
        ["eval/3/blocks.2.rnn", "3"],
        ["eval/4/blocks.3.norm", "4"],
        [],
    ]
    assert " ".join(rows[0]).endswith("the subject's i f c o")
    assert rows[1][-1] == "41"
    assert "the same cause: blocks.1.boom (segments 3-6)" in section(rich, "sha_rnn_jl/L4_longseg")


def test_one_diagnosis_is_one_row_however_many_layers_and_segments(shown):
    text = shown(samples.SuiteResult([samples.case("several", samples.several_causes())], {}, 1.0))
    assert "the same cause: blocks.0.norm, blocks.1.norm, blocks.2.norm (segments 1-4)" in text
    rows = text.split("also wrong in isolation")[1].split("\n\n")[0].splitlines()[1:]
    assert [row.split()[:2] for row in rows] == [["eval/1/blocks.1.rnn", "1-4"]]


def test_one_sentence_comes_first_and_again_before_the_verdict(rich):
    sentence = (
        "sha_rnn_jl/L4_longseg: eval/2/blocks.1.boom (segment 2) is wrong: the reference sums each chunk, the subject "
        "adds the chunks element by element"
    )
    assert rich.splitlines()[0] == sentence
    assert rich.splitlines()[-2] == sentence


def test_quiet_is_the_sentence_and_the_verdict(capsys):
    terminal.show(samples.rich(), quiet=True)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("sha_rnn_jl/L4_longseg: eval/2/blocks.1.boom (segment 2) is wrong: ")
    assert last == "DIVERGENCE: of 10 recordings, 8 diverge and 1 could not be run"


def test_of_two_recordings_nothing_is_claimed_that_was_not_run(shown):
    text = shown(samples.SuiteResult([samples.case("A and B", samples.laid_side_by_side())], {}, 1.0))
    assert text.splitlines()[0].startswith(
        "eval/1/norm (segment 1) is the first that differs: 0.0005 from the other recording, 5,000 units"
    )
    assert "after it, 1 of 2 comparisons diverges; eval/1/out is off by" in text
    for claim in ("wrong in isolation", "inherited", "isolated", "the truth", "why:"):
        assert claim not in text


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_a_narrow_terminal_has_fewer_columns_and_every_verdict(width):
    out = terminal.console(io.StringIO())
    out.width = width
    terminal._print(out, samples.rich())
    text = out.file.getvalue()
    table = text[text.index("recording ") : text.index("2,342 tensors")]
    assert max(map(len, table.splitlines()[1:])) <= width
    verdicts = [case.verdict for case in samples.rich().cases]
    assert [word for word in table.split() if word in set(verdicts)] == verdicts
    assert ("compared" in table) == (width == 120)
    assert " ".join(text.split()).endswith("DIVERGENCE: of 10 recordings, 8 diverge and 1 could not be run")


def test_one_is_not_spoken_of_as_many(shown):
    pair = [
        samples.comparison("eval/1/a", samples.measure(50), samples.measure(50)),
        samples.comparison("eval/1/b", samples.measure(40), samples.measure(0.1)),
    ]
    text = shown(samples.SuiteResult([samples.case("two", pair), samples.case("one", pair[:1])], {}, 1.0))
    assert "after it, 1 of 1 comparison diverges" in text
    assert "in 3 comparisons" in text


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
    assert "3 elements differ; all should be equal" in section(rich, "exact/ids")
    assert re.search("eval/2/x +2 +2 elements differ; all should be equal", section(rich, "exact/ids"))
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
