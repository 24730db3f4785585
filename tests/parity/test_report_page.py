"""The HTML page as text: complete, safe, readable without its scripts, and no larger than it need be."""

import json
import re
from html.parser import HTMLParser

import pytest

from parity.report import html_page
from parity.report.files import write_report
from parity.report.page_data import as_script, page_data
from tests.parity import report_samples as samples

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """The text outside scripts and styles, the elements with their attributes, and what scripts hold."""

    def __init__(self, html):
        super().__init__()
        self.text, self.elements, self.scripts, self.open = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def html():
    return html_page.render(samples.rich(), samples.LEDGER)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_element_is_closed(page):
    assert page.open == []


def test_nothing_is_loaded(page):
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "img", "object", "embed", "base")
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    assert "default-src 'none'" in next(a["content"] for t, a in page.elements if a.get("http-equiv"))


def test_no_style_or_script_but_the_pages_own(page):
    tags = [tag for tag, _ in page.elements]
    assert tags.count("style") == 1
    assert [a.get("type") for tag, a in page.elements if tag == "script"].count(None) == 1
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_links_lead_somewhere(page):
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in page.elements if tag == "a"} <= set(ids)


def test_names_are_not_markup(html, page):
    assert "<script>alert" not in html
    assert "<script>alert('x')</script>" in page.words
    assert "\x07" not in html
    assert "\ud800" not in html


def test_what_matters_is_read_without_scripts(page):
    for words in (
        "DIVERGENCE: of 10 recordings, 8 diverge and 1 could not be run",
        "2,342 tensors recorded",
        "8 given to the subject as its input",
        "First wrong layer eval/2/blocks.1.boom segment 2",
        "isolated 44,800 0.00448 1.6e-06",
        "Diagnosis the reference sums each chunk",
        "this way reduces the error from 3.35e+06 to 0.41 units",
        "First bad step 5 (of 16)",
        "eval/2/logits is off by 0.0152",
        "eval/3/blocks.2.rnn 3 812",
        "no explanation was confirmed",
        "Could not be run: broken.safetensors: the header is cut short",
        "Nothing in this recording could be compared.",
        "julia 1.10.5, Knet 1.4.10, recorded live",
        "sha256 9f2c41d07be6",
    ):
        assert words in page.words, words


def test_the_ledger_is_shown_with_whatever_it_has(page):
    assert "id row title julia paper where since layer-norm 1 LayerNorm std over n-1" in page.words
    assert "expected, evidence expected logits: 0.011, loss: 0.0004 evidence sha_rnn_jl/L1_h1_tied_b2" in page.words
    odd = Page(html_page.render(samples.agreeing(), [{"a": 1, "<b_c>": None}, {"d": 0.12345678}]))
    assert "a <b c> d 1 0.1235" in odd.words


def test_one_sentence_comes_right_after_the_verdict(html):
    headings = re.findall(r'<(?:h1|p|dl|nav)[^>]*class="(?:diverges|headline|tiles)"[^>]*>', html)
    assert [re.search('class="(.*?)"', heading)[1] for heading in headings] == ["diverges", "headline", "tiles"]
    assert "is wrong: the reference sums each chunk, the subject adds the chunks" in html[: html.index('class="tiles"')]


def test_one_diagnosis_is_one_row():
    page = Page(html_page.render(samples.SuiteResult([samples.case("several", samples.several_causes())], {}, 1.0)))
    assert "The same cause blocks.0.norm, blocks.1.norm, blocks.2.norm (segments 1-4)" in page.words
    assert page.words.count("the gates of the reference are in the order") == 1


def test_the_ledger_is_folded_and_a_known_difference_leads_to_its_entry():
    known = {"eval/2/blocks.1.boom": "boom"}
    case = samples.case("known", samples.diverging(), known=known)
    ledger = [{"id": "layer-norm", "title": "LayerNorm"}, {"id": "boom", "title": "Boom"}]
    html = html_page.render(samples.SuiteResult([case], {}, 1.0), ledger)
    assert 'href="#known-1"' in html[: html.index("Worst element")]
    assert html.count('id="known-1"') == 1
    folded = html[html.index('<section id="ledger">') :]
    assert re.search(r"<details[^>]*>\s*<summary>2 differences", folded)
    assert "open" not in re.search("<details[^>]*>", folded)[0]


def test_of_two_recordings_the_data_claims_nothing_that_was_not_run():
    data = page_data(samples.case("A and B", samples.laid_side_by_side()), 100)
    assert [cell[2] for cell in data["cells"]] == [0, 3, 3, 0]


def test_without_a_ledger_there_is_no_section_for_it():
    assert "Known differences" not in html_page.render(samples.agreeing())


def test_of_many_diverging_cases_a_few_are_open(page):
    cases = [a for tag, a in page.elements if tag == "details" and a.get("class", "").startswith("case")]
    assert [("open" in a) for a in cases].count(True) == html_page.OPENED
    assert len(cases) == 10
    agreeing = Page(html_page.render(samples.agreeing()))
    assert not [a for tag, a in agreeing.elements if tag == "details" and "open" in a]


def test_every_comparison_is_in_the_data(page):
    counts = [len(json.loads(text)["cells"]) for text in page.scripts if text.startswith("{")]
    assert sorted(counts) == sorted(len(case.comparisons) for case in samples.rich().cases if case.comparisons)


def test_a_script_element_cannot_be_ended_from_inside():
    text = as_script(page_data(samples.case("x", samples.nasty()), 100))
    assert not re.search("[<>&]", text)
    assert samples.NASTY in json.loads(text)["rows"][0][1]


def test_data_has_words_for_what_is_infinite():
    data = json.loads(as_script(page_data(samples.case("x", samples.infinities()), 100)))
    assert data["cells"][1][6] == "4 of 64 elements are infinite or NaN on one side only"
    assert data["profiles"]["2"]["arrived"] == [0, "Infinity"]
    assert data["growth"] == [[1, "Infinity", "Infinity"]]


def test_a_name_that_is_compared_twice_has_two_rows():
    twice = [samples.comparison("train/1/w", samples.measure(units)) for units in (1, 2)]
    data = page_data(samples.case("x", twice), 100)
    assert [cell[:2] for cell in data["cells"]] == [[0, 0], [1, 0]]
    assert data["rows"][0] == data["rows"][1]


def test_rows_stand_in_order_of_computation_group_by_group():
    """This holds also where gradients alternate with their norms, and where a layer is not in the first segment."""
    names = ["eval/1/a", "eval/1/c", "eval/2/a", "eval/2/b", "eval/2/c", "grad/1/v", "norm/1/v", "grad/1/w", "norm/1/w"]
    rows = page_data(samples.case("x", [samples.comparison(name, samples.measure(1)) for name in names]), 100)["rows"]
    assert ["/".join(row) for row in rows] == ["eval/a", "eval/b", "eval/c", "grad/v", "grad/w", "norm/v", "norm/w"]


def test_names_are_made_of_group_segment_and_layer():
    assert page_data(samples.case("x", samples.agreeing_comparisons()), 100)["names"] == {}


def test_a_name_out_of_pattern_is_kept():
    odd = samples.Comparison(
        name="after eval/1/x", recorded="", where="", layer="the subject", segment=None, exact=False, shape=(),
        end_to_end=samples.Measure(False, "the subject stopped"), isolated=None, verdict="wrong",
    )  # fmt: skip
    assert page_data(samples.case("x", [odd]), 100)["names"] == {0: "after eval/1/x"}


def test_long_profiles_keep_their_peaks():
    steps = [1.0] * 5000
    steps[4321] = 99.0
    peaked = samples.comparison("eval/1/x", samples.measure(99, steps), samples.measure(99, steps))
    profile = page_data(samples.case("x", [peaked]), 10)["profiles"][0]
    assert max(profile["arrived"]) == 99
    assert len(profile["arrived"]) <= 256
    assert profile["steps"] == 5000
    assert profile["bad"] == 4321


def test_profiles_stop_where_the_room_ends():
    case = samples.case("x", samples.diverging())
    assert len(page_data(case, 100_000)["profiles"]) > 50
    few = page_data(case, 64)["profiles"]
    assert next(iter(few)) == case.comparisons.index(case.first)
    assert len(few) == 2


@pytest.mark.slow
def test_a_large_suite_stays_small():
    assert len(html_page.render(samples.large()).encode()) < 6_000_000


def test_three_files_side_by_side(tmp_path):
    written = write_report(samples.rich(), tmp_path / "new" / "report", samples.LEDGER)
    assert written == tmp_path / "new" / "report" / "report.html"
    assert sorted(p.name for p in written.parent.iterdir()) == ["junit.xml", "report.html", "report.json"]
    assert "Known differences" in written.read_text()
