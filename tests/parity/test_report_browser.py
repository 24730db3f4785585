"""The HTML page in headless Chromium: opened from disk, in light and dark, at the width of a phone and of a desk."""

import json
import re
import time

import pytest

from parity.report import html_page
from tests.parity import report_samples as samples

NARROW, DESK, WIDE = 360, 1400, 1600
SCHEMES = ("light", "dark")
AA = 4.5
"""The contrast that WCAG asks of text; of curves it asks 3."""


class Browser:
    """A Chromium, and what it is asked here."""

    def __init__(self, driver):
        self.driver = driver
        # Without a window manager no window has the focus, and a page without it is told of no change of its own.
        self.command("Emulation.setFocusEmulationEnabled", enabled=True)

    def open(self, path, width=DESK, scheme="light"):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.driver.get(path.as_uri())

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key)

    def errors(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def chromium(browser):
    return Browser(browser)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    written = {}
    known = samples.case("known", samples.diverging(), known={"eval/2/blocks.1.boom": "layer-norm"})
    beside = samples.case("A and B", samples.laid_side_by_side())
    results = {
        "rich": samples.rich(),
        "agreeing": samples.agreeing(),
        "large": samples.large(),
        "known": samples.SuiteResult([known], samples.ENVIRONMENT, 1.0),
        "beside": samples.SuiteResult([beside], samples.ENVIRONMENT, 1.0),
    }
    for name, result in results.items():
        written[name] = folder / f"{name}.html"
        written[name].write_text(html_page.render(result, samples.LEDGER), encoding="utf-8")
    return written


OPEN_ALL = (
    "for (const one of document.querySelectorAll('details')) one.open = true; return new Promise(requestAnimationFrame)"
)
"""The promise waits for the scripts that opening a case runs."""


@pytest.mark.parametrize("name", ["rich", "agreeing"])
def test_no_errors_and_no_request_but_for_the_page(chromium, pages, name):
    chromium.errors(), chromium.requests()
    chromium.open(pages[name])
    chromium.run(OPEN_ALL)
    assert chromium.errors() == []
    assert {url for url in chromium.requests() if not url.startswith("data:")} == {pages[name].as_uri()}


@pytest.mark.parametrize("width", [NARROW, DESK, WIDE])
@pytest.mark.parametrize("name", ["rich", "agreeing"])
def test_the_page_is_as_wide_as_the_window(chromium, pages, name, width):
    chromium.open(pages[name], width)
    chromium.run(OPEN_ALL)
    assert chromium.run("return innerWidth") == width
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    assert chromium.run("return document.body.scrollWidth") <= width


def cells(chromium, number):
    return chromium.run(
        "return [...document.querySelectorAll(`#case-${arguments[0]} td.cell`)].map(cell => cell.className)", number
    )


def test_the_heat_map_has_a_cell_for_every_comparison(chromium, pages):
    chromium.open(pages["rich"])
    chromium.run(OPEN_ALL)
    for number, case in enumerate(samples.rich().cases):
        placed = [c for c in case.comparisons if c.segment is not None]
        assert len(cells(chromium, number)) == len(placed)
        strip = chromium.run("return document.querySelectorAll(`#case-${arguments[0]} .strip .cell`).length", number)
        assert strip == len(case.comparisons) - len(placed)


def test_cells_show_verdicts_and_sizes(chromium, pages):
    chromium.open(pages["rich"])
    case, drawn = samples.rich().cases[1], cells(chromium, 1)
    assert sum("wrong" in name for name in drawn) == len(case.wrong)
    assert sum("inherited" in name for name in drawn) == len(case.inherited)
    assert sum("first" in name for name in drawn) == 1
    above = sum(c.end_to_end.units > 16 for c in case.comparisons)
    assert sum(int(re.search(r"\bb(\d)", name)[1]) > 4 for name in drawn) == above


def test_the_switch_shows_isolated_errors(chromium, pages):
    chromium.open(pages["rich"])
    case = samples.rich().cases[1]
    chromium.run("document.querySelector('#case-1 input[value=local]').click()")
    drawn = cells(chromium, 1)
    assert sum("inherited" in name for name in drawn) == 0
    assert sum(bool(re.search(r"\bb[5-9]", name)) for name in drawn) == len(case.wrong)
    assert sum("none" in name for name in drawn) == sum(
        c.isolated is None and not c.exact and c.segment is not None for c in case.comparisons
    )
    chromium.run("document.querySelector('#case-1 input[value=arrived]').click()")
    assert sum("inherited" in name for name in cells(chromium, 1)) == len(case.inherited)


def readout(chromium, number):
    text = chromium.run("return document.querySelector(`#case-${arguments[0]} .readout`).innerText", number)
    return " ".join(text.split())


def test_the_first_wrong_cell_is_described_and_in_sight(chromium, pages):
    chromium.open(pages["rich"])
    assert readout(chromium, 1) == (
        "wrong eval/2/blocks.1.boom segment 2, 7×2×8 end to end 49,800 units (error 0.00498, allowed 1.6e-06) "
        "isolated 44,800 units (error 0.00448, allowed 1.6e-06)"
    )
    inside = """const box = document.querySelector('#case-1 .heat-box').getBoundingClientRect();
        const cell = document.querySelector('#case-1 .cell.first').getBoundingClientRect();
        return box.top < cell.top && cell.bottom < box.bottom"""
    assert chromium.run(inside)


def test_arrow_keys_move_over_the_map(chromium, pages):
    chromium.open(pages["rich"])
    assert chromium.run("return document.querySelectorAll('#case-1 .map [tabindex=\"0\"]').length") == 1
    chromium.run("document.querySelector('#case-1 .cell.first').focus()")
    for key, name in (
        ("ArrowRight", "eval/3/blocks.1.boom"),
        ("ArrowDown", "eval/3/blocks.1.out"),
        ("ArrowLeft", "eval/2/blocks.1.out"),
        ("ArrowUp", "eval/2/blocks.1.boom"),
    ):
        chromium.press(key)
        assert chromium.run("return document.activeElement.getAttribute('aria-label')").startswith(name + ":")
        assert name in readout(chromium, 1)
    assert chromium.run("return document.querySelectorAll('#case-1 .map [tabindex=\"0\"]').length") == 1


def test_pointing_at_a_cell_shows_it(chromium, pages):
    chromium.open(pages["rich"])
    point = """const cell = [...document.querySelectorAll('#case-1 td.cell')].find(one =>
        one.getAttribute('aria-label').startsWith('eval/3/blocks.2.rnn:'));
        cell.dispatchEvent(new MouseEvent('mouseover', { bubbles: true }))"""
    chromium.run(point)
    assert readout(chromium, 1).startswith("wrong eval/3/blocks.2.rnn segment 3, 7×2×8")
    assert "isolated 812 units" in readout(chromium, 1)


def test_curves_of_growth_and_of_steps(chromium, pages):
    chromium.open(pages["rich"])
    points = "return [...document.querySelectorAll(`#case-1 .${arguments[0]} .curve`)].map(one => one.points.length)"
    assert chromium.run(points, "growth") == [6, 6]
    assert chromium.run(points, "steps") == [16, 16]
    text = chromium.run("return document.querySelector('#case-1 .steps').innerText")
    assert "eval/2/blocks.1.boom" in text
    assert chromium.run("return document.querySelector('#case-1 .steps .tick.bad').textContent") == "first bad step: 5"


def test_a_chosen_cell_has_its_own_curve_over_steps(chromium, pages):
    chromium.open(pages["rich"])
    focus = """[...document.querySelectorAll('#case-1 td.cell')].find(one =>
        one.getAttribute('aria-label').startsWith('eval/3/blocks.2.rnn:')).focus()"""
    chromium.run(focus)
    assert "eval/3/blocks.2.rnn" in chromium.run("return document.querySelector('#case-1 .steps').innerText")
    assert chromium.run("return document.querySelector('#case-1 .steps .tick.bad').textContent") == "first bad step: 3"


def test_a_link_opens_its_case(chromium, pages):
    chromium.open(pages["agreeing"])
    assert not chromium.run("return document.querySelector('#case-1').open")
    chromium.run("document.querySelector('a[href=\"#case-1\"]').click(); return new Promise(requestAnimationFrame)")
    assert chromium.run("return document.querySelector('#case-1').open")
    assert len(cells(chromium, 1)) == sum(c.segment is not None for c in samples.agreeing().cases[1].comparisons)


@pytest.mark.parametrize("width", [NARROW, DESK])
@pytest.mark.parametrize("name", ["rich", "known"])
def test_what_is_wrong_is_on_the_first_screen(chromium, pages, name, width):
    chromium.open(pages[name], width)
    box = "const box = document.querySelector('.headline').getBoundingClientRect(); return [box.top, box.bottom]"
    top, bottom = chromium.run(box)
    assert 0 < top < bottom < 900
    text = chromium.run("return document.querySelector('.headline').innerText")
    assert "eval/2/blocks.1.boom" in text
    assert "the reference sums each chunk, the subject adds the chunks element by element" in text


def test_a_known_difference_is_a_link_that_unfolds_it(chromium, pages):
    chromium.open(pages["known"])
    assert not chromium.run("return document.querySelector('#ledger details').open")
    chromium.run("document.querySelector('a[href=\"#known-0\"]').click(); return new Promise(requestAnimationFrame)")
    assert chromium.run("return document.querySelector('#ledger details').open")
    assert 0 <= chromium.run("return document.querySelector('#known-0').getBoundingClientRect().top") < 900


def test_of_two_recordings_no_cell_is_called_wrong_or_inherited(chromium, pages):
    chromium.open(pages["beside"])
    assert chromium.errors() == []
    assert not [c for c in cells(chromium, 0) if "wrong" in c or "inherited" in c]
    assert readout(chromium, 0).startswith("differs eval/1/norm segment 1")
    assert "isolated" not in readout(chromium, 0)
    assert chromium.run("return document.querySelectorAll('#case-0 .switch').length") == 0


def test_names_do_nothing(chromium, pages):
    chromium.open(pages["rich"])
    chromium.run(OPEN_ALL)
    chromium.run("for (const cell of document.querySelectorAll('.cell')) cell.focus()")
    assert chromium.run("return document.querySelectorAll('body script:not([type])').length") == 1


def luminance(colour):
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def colours(chromium, names):
    """What the page's variables are in the scheme that is on, as rgb(...)."""
    script = """const probe = document.body.appendChild(document.createElement('i'));
        return arguments[0].map(name => {
            probe.style.color = `var(--${name})`;
            return getComputedStyle(probe).color;
        })"""
    return dict(zip(names, chromium.run(script, names), strict=True))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_stands_out_from_its_ground(chromium, pages, scheme):
    chromium.open(pages["rich"], scheme=scheme)
    texts = ["ink", "quiet", "link", "agrees", "diverges", "error", "wrong", "inherited"]
    found = colours(chromium, [*texts, "ground", "panel"])
    weak = {
        f"{name} on {ground}": contrast(found[name], found[ground])
        for name in texts
        for ground in ("ground", "panel")
        if contrast(found[name], found[ground]) < AA
    }
    assert weak == {}
    curves = colours(chromium, ["arrived", "local"])
    assert min(contrast(curve, found["panel"]) for curve in curves.values()) > 3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scale_gets_stronger_with_the_error(chromium, pages, scheme):
    """It does so in grey, too, for readers who do not see colours; a line marks the tolerance besides."""
    chromium.open(pages["rich"], scheme=scheme)
    found = colours(chromium, [f"b{n}" for n in range(10)] + ["panel"])
    distance = [contrast(found[f"b{n}"], found["panel"]) for n in range(10)]
    assert distance[:5] == sorted(distance[:5])
    assert distance[5:] == sorted(distance[5:])
    assert chromium.run("return getComputedStyle(document.querySelector('.scale .edge')).borderRightWidth") == "2px"


def test_dark_is_dark_and_light_is_light(chromium, pages):
    grounds = {}
    for scheme in SCHEMES:
        chromium.open(pages["agreeing"], scheme=scheme)
        grounds[scheme] = luminance(chromium.run("return getComputedStyle(document.body).backgroundColor"))
    assert grounds["light"] > 0.9
    assert grounds["dark"] < 0.05


def test_a_large_suite_opens_at_once(chromium, pages):
    """The browser's own clock says so, from asking for the page to its last script; when we ask for it may be late."""
    chromium.open(pages["large"])
    limit = time.monotonic() + 60
    while chromium.run("return performance.getEntriesByType('navigation')[0].loadEventEnd") == 0:
        assert time.monotonic() < limit, "the page does not get ready"
        time.sleep(0.05)
    assert chromium.run("return document.readyState") == "complete"
    assert chromium.run("return document.querySelectorAll('td.cell').length") > 1000
    assert chromium.run("return performance.getEntriesByType('navigation')[0].loadEventEnd") < 3000
