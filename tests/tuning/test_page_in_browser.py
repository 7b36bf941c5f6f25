# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The page of choices in headless Chromium, by clicks and keys."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from examples.midi.data.piano_roll import Grid
from examples.midi.output import audio, plots
from vaeseq.tuning import choices
from vaeseq.tuning.choices import ChoicesFile
from vaeseq.tuning.page import Comparison, PageServer, Shown

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


class Browser:
    """Headless Chromium, driven by its DevTools protocol over a pipe."""

    def __init__(self, folder):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--mute-audio",
                   "--autoplay-policy=no-user-gesture-required", "--window-size=1000,800",
                   f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
        # The protocol's pipes are the descriptors 3 and 4.
        code = ("import fcntl, os, sys; "
                "places = [fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]]; "
                "[os.dup2(*pair) for pair in zip(places, (3, 4))]; "
                "os.execv(sys.argv[3], sys.argv[3:])")
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs_in), str(theirs_out), *command],
            pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session = None

    def open(self, url):
        target = self.call("Target.createTarget", url=url)["targetId"]
        self._session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                part = os.read(self._in, 1 << 20)
                assert part, "the browser has ended"
                self._buffer += part
            line, _, self._buffer = self._buffer.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)["result"].get("value")

    def wait(self, expression):
        deadline = time.monotonic() + 60
        while not self.value(expression):
            assert time.monotonic() < deadline, (expression, self.value("document.body.innerText"))
            time.sleep(0.05)

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key)

    def click(self, name):
        x, y = self.value(f"(() => {{ const r = document.getElementById('{name}')"
                          ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + 5]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._out)
        os.close(self._in)


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.close()


def _music(folder, number):
    """Returns a sample with sound and a picture, as vaeseq-midi shows it."""
    grid = Grid(rate=4.0)
    roll = np.zeros([16, grid.columns], np.uint8)
    for frame in range(16):
        roll[frame, 39 + (number + frame // 2) % 12] = roll[frame, 27] = 1
    audio.save(folder / "a.wav", audio.synthesize(roll, grid))
    plots.save_roll(folder / "a.png", roll, grid, title="")
    return Shown(number, files={kind: (folder / f"a.{kind}").read_bytes()
                                for kind in ("wav", "png")})


def test_a_reader_chooses_by_keys_and_clicks(browser, tmp_path):
    def pair(number):
        return Shown(f"a{number}", f"<b>left {number}</b>\n" * 3), Shown(f"b{number}", "right")

    with ChoicesFile(tmp_path / "choices.jsonl") as file:
        server = PageServer(Comparison(file, "ann", pair, 4), title="Which is better?")
        with server.serving():
            browser.open(server.url)
            browser.wait("document.getElementById('count')?.textContent.includes('0 of 4')")
            # What a model writes is text, not HTML.
            assert browser.value("document.querySelector('#first pre').textContent").startswith(
                "<b>left 0</b>\n<b>")
            browser.key("a")
            browser.wait("state.number === 1")
            browser.click("choose-second")
            browser.wait("state.number === 2")
            browser.key("u")
            browser.wait("state.number === 1")
            browser.key("n")
            browser.wait("state.number === 2")
            browser.click("undo")
            browser.wait("state.number === 1")
            browser.key("B")
            browser.wait("state.number === 2")
            browser.key("a")
            browser.wait("state.number === 3")
            browser.key("b")
            browser.wait("!document.getElementById('done').hidden")
            assert browser.value("document.getElementById('choose-first').disabled")
    saved = choices.read(tmp_path / "choices.jsonl")
    assert [(choice.first, choice.choice) for choice in saved] == [
        ("a0", "first"), ("a1", "second"), ("a2", "first"), ("a3", "second")]


def test_a_listener_hears_and_sees_two_samples(browser, tmp_path):
    with ChoicesFile(tmp_path / "choices.jsonl") as file:
        server = PageServer(
            Comparison(file, "ann", lambda number: (_music(tmp_path, 0), _music(tmp_path, 5)), 9),
            title="Which music is better?")
        with server.serving():
            browser.open(server.url)
            browser.wait("document.querySelector('#second img')?.naturalWidth > 100")
            browser.key("1")
            browser.wait("document.querySelector('#first audio').currentTime > 0")
            browser.key("2")
            browser.wait("document.querySelector('#second audio').currentTime > 0")
            assert browser.value("document.querySelector('#first audio').paused")
            browser.screenshot(tmp_path / "page.png")
            browser.key("a")
            browser.wait("state.number === 1")
            # Nothing is loaded from elsewhere, and the page has no error.
            assert browser.value("document.getElementById('error').hidden")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert [choice.choice for choice in choices.read(tmp_path / "choices.jsonl")] == ["first"]
