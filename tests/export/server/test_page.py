"""The page in headless Chromium: texts that stream, are forked and go on; nothing is loaded from elsewhere."""

import json

import pytest

from export import Session
from tests.export.server.conftest import wait_until

PROMPT = "the quick brown fox"


class Page:
    """The page of one server."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url
        driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        driver.get_log("browser")
        driver.get_log("performance")
        driver.get(url)
        wait_until(lambda: self.run("return document.getElementById('model').textContent") == "model")
        self.write(0, PROMPT)
        self.run("document.getElementById('tokens').value = 30")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def write(self, number, text):
        self.run(
            "const area = document.querySelectorAll('textarea')[arguments[0]]; area.value = arguments[1];"
            "area.dispatchEvent(new Event('input'))",
            number,
            text,
        )

    def press(self, number, name):
        self.run(f"document.querySelectorAll('{name}')[arguments[0]].click()", number)

    def key(self, key, code=0, modifiers=0):
        for kind in ("keyDown", "keyUp"):
            event = {"type": kind, "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", event)

    def text(self, number):
        return self.run("return document.querySelectorAll('textarea')[arguments[0]].value", number)

    @property
    def said(self):
        return self.run("return document.getElementById('said').textContent")

    def requests(self):
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}


@pytest.fixture(scope="module")
def patient(serving):
    with serving(max_tokens=10**6) as server:
        yield server


@pytest.fixture
def page(browser, patient):
    return Page(browser, patient.url)


def alone(served, prompt, n, **how):
    return prompt + "".join(Session.load(served, threads=1).generate(prompt, n, temperature=0.8, **how))


def test_a_text_streams_and_goes_on(page, served):
    session = Session.load(served, threads=1)
    first = PROMPT + "".join(session.generate(PROMPT, 30, temperature=0.8, seed=0))
    page.press(0, ".on")
    wait_until(lambda: page.said == "text 1 has ended")
    assert page.text(0) == first
    assert page.run("return document.querySelector('.count').textContent") == f"{len(first)} characters"
    page.write(0, f"{first} and so")
    page.press(0, ".on")
    wait_until(lambda: page.said == "text 1 has ended" and len(page.text(0)) > len(first) + 7)
    wait_until(lambda: not page.run("return document.querySelector('.on').disabled"))
    assert page.text(0) == f"{first} and so" + "".join(session.generate(" and so", 30, temperature=0.8, seed=0))


def test_a_text_is_forked_anywhere_and_both_go_on(page, served):
    page.press(0, ".on")
    wait_until(lambda: page.said == "text 1 has ended")
    page.run("const area = document.querySelector('textarea'); area.focus(); area.setSelectionRange(9, 9)")
    page.key("f", 70, modifiers=1)  # Alt
    wait_until(lambda: page.said == "forked after 9 characters: text 2")
    assert page.text(1) == PROMPT[:9]
    before = page.text(0)
    page.press(0, "#all")
    wait_until(lambda: len(page.text(1)) == 39 and len(page.text(0)) == len(before) + 30)
    assert page.text(1) == alone(served, PROMPT[:9], 30, seed=0)
    page.press(1, ".remove")
    assert page.run("return document.querySelectorAll('article').length") == 1


def test_keys_go_on_and_stop(page, patient):
    page.run("document.getElementById('tokens').value = 50000; document.querySelector('textarea').focus()")
    page.key("Enter", 13, modifiers=2)  # Ctrl
    wait_until(lambda: len(page.text(0)) > len(PROMPT))
    assert page.run("return document.querySelector('textarea').readOnly")
    page.key("Escape", 27)
    wait_until(lambda: page.said == "text 1 was stopped")
    wait_until(lambda: patient.status()["active"] == 0)
    assert len(page.text(0)) < 50000


def test_load_is_drawn_and_said(page):
    page.press(0, ".on")
    wait_until(lambda: page.run("return document.querySelector('#speed path').getAttribute('d')?.includes('L')"))
    label = page.run("return document.querySelector('#active svg').getAttribute('aria-label')")
    assert "of 4 now" in label


@pytest.mark.parametrize("width", [360, 1400])
def test_it_fits_and_asks_nobody_else(page, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.run("return document.documentElement.scrollWidth") <= width
    unlabelled = "element => !(element.labels?.length || element.ariaLabel || element.textContent)"
    controls = "[...document.querySelectorAll('input, textarea, button')]"
    assert page.run(f"return {controls}.filter({unlabelled}).length") == 0
    assert {url.rsplit("/", 1)[0] for url in page.requests() if not url.startswith("data:")} <= {
        page.url, f"{page.url}/v1", f"{page.url}/assets", f"{page.url}/v1/sequences"
    }  # fmt: skip
    assert [entry["message"] for entry in page.driver.get_log("browser")] == []


def test_a_wrong_text_is_said(page):
    page.write(0, "\u00e9")
    page.press(0, ".on")
    wait_until(lambda: "is not in the vocabulary" in page.said)
    assert page.run("return document.getElementById('said').classList.contains('wrong')")


def test_a_key_is_asked_for(browser, serving):
    with serving(keys=("the-key",)) as server:
        browser.get(server.url)
        wait_until(lambda: browser.execute_script("return !document.getElementById('locked').hidden"))
        browser.execute_script("document.getElementById('key').value = 'the-key'")
        wait_until(lambda: browser.execute_script("return document.getElementById('model').textContent") == "model")
