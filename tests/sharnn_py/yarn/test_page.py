"""The page of an index: its data, what it may do, and what it does in Chromium, in light and dark, alone and served."""

import json
import re
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

from sharnn_py import TorchSession
from sharnn_py.yarn.finding import Finder
from sharnn_py.yarn.indexing import index
from sharnn_py.yarn.page import render
from sharnn_py.yarn.plane import SIDE, lay_out
from sharnn_py.yarn.reading import Reader
from sharnn_py.yarn.sense import normalised
from sharnn_py.yarn.serving import server
from tests.parity.test_report_browser import Browser

SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def finder(indexed):
    return Finder(indexed)


@pytest.fixture(scope="module")
def page(finder, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "map.html"
    path.write_text(render(finder, served=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def address(finder, model, vocabulary):
    with server(finder, Reader(TorchSession(model, vocabulary)), 0) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_holds_every_phrase(finder, page):
    data, every = data_of(page.read_text()), finder.everything()
    assert data["text"] == every.texts
    assert [data["sources"][number] for number in data["source"]] == every.sources
    assert {len(data[name]) for name in ("x", "y", "near", "id", "place")} == {len(every.ids)}


def test_a_text_cannot_end_the_script_around_it(reader, checkpoint, tmp_path):
    (tmp_path / "x.txt").write_text("One </script><script>alert(1)</script>. Two & <!-- three.")
    index(tmp_path / "index", [tmp_path / "x.txt"], reader, checkpoint, "sentences", print)
    page = render(Finder(tmp_path / "index"), served=False)
    assert page.count("</script>") == 2
    assert data_of(page)["text"][0] == "One </script><script>alert(1)</script>."


@pytest.mark.slow
def test_what_is_near_in_sense_is_near_on_the_map():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((4, 16))
    vectors = normalised((np.repeat(centres, 30, axis=0) + 0.1 * rng.standard_normal((120, 16))).astype(np.float32))
    positions, nearest = lay_out(vectors)
    assert positions.dtype == np.uint16
    assert positions.max() == SIDE
    distances = np.linalg.norm(positions[:, None].astype(float) - positions[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(1) // 30 == np.arange(120) // 30).mean() > 0.95
    assert (nearest // 30 == np.arange(120)[:, None] // 30).all()
    assert not (nearest == np.arange(120)[:, None]).any()


@pytest.mark.parametrize("count", [1, 2, 17])
def test_few_phrases_are_apart_too(count):
    vectors = normalised(np.random.default_rng(1).standard_normal((count, 16)).astype(np.float32))
    positions, nearest = lay_out(vectors)
    assert len({tuple(position) for position in positions.tolist()}) == count
    assert nearest.shape == (count, min(count - 1, 8))


@pytest.fixture(scope="module")
def chromium(browser):
    return Browser(browser)


def listed(chromium):
    return chromium.run("return [...document.querySelectorAll('#list button')].map(one => one.textContent)")


def look_for(chromium, words):
    script = """const box = document.getElementById('words'); box.value = arguments[0];
        document.querySelector('form').requestSubmit(); return new Promise(done => setTimeout(done, arguments[1]))"""
    chromium.run(script, words, 300)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [360, 1400])
def test_it_draws_and_asks_for_nothing(chromium, page, width, scheme):
    chromium.errors(), chromium.requests()
    chromium.open(page, width, scheme)
    assert chromium.errors() == []
    assert {url for url in chromium.requests() if not url.startswith(("data:", "chrome"))} == {page.as_uri()}
    assert chromium.run("return document.documentElement.scrollWidth") <= width
    coloured = """paint(); const canvas = document.getElementById('map');
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let drawn = 0; for (let i = 3; i < pixels.length; i += 4) drawn += pixels[i] > 0; return drawn"""
    assert chromium.run(coloured) > 50


def test_colours_are_those_of_the_scheme(chromium, page):
    shown = []
    for scheme in SCHEMES:
        chromium.open(page, scheme=scheme)
        shown.append(chromium.run("return [colours[0], getComputedStyle(document.body).backgroundColor]"))
    assert shown[0][0] != shown[1][0]
    assert shown[0][1] != shown[1][1]


def test_letters_are_found_and_marked(chromium, page):
    chromium.open(page)
    look_for(chromium, "WILDERNESS")
    assert chromium.run("return document.getElementById('heading').textContent") == "2 phrases with these letters"
    assert all("wilderness" in one for one in listed(chromium))
    assert chromium.run("return document.querySelector('#list mark').textContent") == "wilderness"
    look_for(chromium, "")
    assert listed(chromium) == []


def test_a_click_shows_the_phrase_its_surroundings_and_the_nearest(chromium, page, finder):
    chromium.open(page)
    every = finder.everything()
    middle = range(1, every.sources.index("lamps.txt") - 1)
    inside = """const box = document.getElementById('map').getBoundingClientRect();
        const apart = i => Math.min(...x.map((_, j) => j === i ? Infinity : Math.hypot(x[j] - x[i], y[j] - y[i])));
        const i = arguments[0].reduce((a, b) => apart(a) > apart(b) ? a : b);
        return [box.left + x[i] * scale + left, box.top + y[i] * scale + top_, i]"""
    px, py, lone = chromium.run(inside, list(middle))
    for kind in ("mousePressed", "mouseReleased"):
        chromium.command("Input.dispatchMouseEvent", type=kind, x=px, y=py, button="left", clickCount=1)
    shown = chromium.run("return [...document.querySelectorAll('#phrase p')].map(one => one.textContent)")
    assert shown == every.texts[lone - 1 : lone + 2]
    assert listed(chromium)[0].endswith(finder.near(finder.vector(lone), 1, without=[lone])[0].text)
    chromium.run("document.querySelector('#phrase nav button:last-child').click()")
    thread = chromium.run("return thread")
    assert len(set(thread)) == len(thread) > 3


def test_keys_move_and_zoom_the_map(chromium, page):
    chromium.open(page)
    chromium.run("document.getElementById('map').focus()")
    before = chromium.run("return [scale, left, top_]")
    for key, changed in (("ArrowLeft", 1), ("ArrowUp", 2), ("+", 0)):
        was = chromium.run("return [scale, left, top_]")
        chromium.press(key)
        assert chromium.run("return [scale, left, top_]")[changed] > was[changed]
    chromium.press("0")
    assert chromium.run("return [scale, left, top_]") == pytest.approx(before)
    chromium.press("Enter")
    assert chromium.run("return chosen") >= 0


def test_a_served_page_searches_by_sense(chromium, address, finder, reader):
    chromium.errors()
    chromium.driver.get(address + "/")
    for by, found in (
        ("both", lambda words, vector: finder.fused(words, vector, 50)),
        ("sense", lambda words, vector: finder.near(vector, 50)),
    ):
        chromium.run("document.querySelector(`input[value=${arguments[0]}]`).checked = true", by)
        look_for(chromium, "a voice")
        expected = found("a voice", finder.vector_of_words("a voice", reader))
        assert [one.endswith(other.text) for one, other in zip(listed(chromium), expected, strict=True)].count(
            False
        ) == 0
    chromium.run("return walk(2)")
    assert chromium.run("return thread") == [one.id for one in finder.walk(finder.phrase("2"), 30)]
    assert chromium.errors() == []


def test_the_server_answers_in_json_and_nobody_elses_pages(address):
    def get(path, **headers):
        with urllib.request.urlopen(urllib.request.Request(address + path, headers=headers)) as reply:
            return json.loads(reply.read())

    assert len(get("/find?by=sense&words=ships")["found"]) > 3
    assert "empty" in get("/find?words=+")["error"]
    assert "number of a phrase" in get("/walk?id=x")["error"]
    assert "no phrase" in get("/walk?id=9999")["error"]
    for path, headers, code in (("/yarn.json", {}, 404), ("/", {"Host": "elsewhere.example"}, 403)):
        with pytest.raises(urllib.error.HTTPError) as raised:
            get(path, **headers)
        assert raised.value.code == code
        raised.value.close()
