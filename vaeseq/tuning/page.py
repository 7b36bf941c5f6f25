# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A page on which a person compares samples; it answers on this machine only.

The server listens on the loopback interface, and every address begins with a random token. It
serves the page, its state and the files of the present pair, all from memory: no address is a path
of the file system. Requests of other pages are refused (Host, Origin, content type), and the page
itself may load nothing from elsewhere (its Content-Security-Policy).

    GET  /TOKEN/            the page
    GET  /TOKEN/state       the present pair and the progress, JSON
    GET  /TOKEN/file/NAME   a file of the present pair
    POST /TOKEN/choose      {"number": N, "choice": "first" | "second" | "neither"}
    POST /TOKEN/undo        {"number": N}

The standard library's server suffices for one listener, and it adds no dependency. Imports no
TensorFlow.
"""
from __future__ import annotations

import contextlib
import hmac
import html
import json
import secrets
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, get_args

from vaeseq.tuning.choices import Answer, ChoicesFile

_LONGEST_REQUEST = 1 << 12  # bytes
_TIMEOUT = 30  # seconds that a client may take to send a request
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Shown(NamedTuple):
    """A sample as the page shows it."""

    content: Any  # what the file of choices records, as JSON values
    text: str = ""  # to be read; "" for none
    files: Mapping[str, bytes] = {}  # contents of files by name: "png" is shown, "wav" is played


class Comparison:
    """The comparisons of one listener, in order; safe to use from several threads."""

    def __init__(
        self, file: ChoicesFile, listener: str, make_pair: Callable[[int], tuple[Shown, Shown]],
        total: int,
    ):
        """Creates the comparisons of a listener, which continue after those in the file.

        Equal numbers, from 0, give equal pairs by `make_pair`.
        """
        self._file, self._listener = file, listener
        self._make_pair, self._total = make_pair, total
        self._lock = threading.Lock()
        self._number, self._pair = -1, (Shown(None), Shown(None))
        self._renew()

    def state(self) -> dict[str, Any]:
        """Returns what the page shows, as JSON values."""
        with self._lock:
            return self._state()

    def file(self, name: str) -> bytes | None:
        """Returns a file of the present pair, such as "3-first.png"; None if there is none."""
        with self._lock:
            for side, shown in zip(("first", "second"), self._pair):
                for kind, content in shown.files.items():
                    if name == f"{self._number}-{side}.{kind}":
                        return content
        return None

    def choose(self, number: int, answer: Answer) -> dict[str, Any]:
        """Records the choice for a pair, unless it is not the present one; returns the state."""
        with self._lock:
            is_new = number == len(self._file.choices(self._listener))  # also after an error below
            if is_new and number == self._number < self._total:
                self._file.append(self._listener, self._pair[0].content, self._pair[1].content,
                                  answer)
            self._renew()
            return self._state()

    def undo(self, number: int) -> dict[str, Any]:
        """Takes the choice before the present pair back; returns the state."""
        with self._lock:
            if number == self._number == len(self._file.choices(self._listener)):
                self._file.undo(self._listener)
            self._renew()
            return self._state()

    def _renew(self) -> None:
        number = len(self._file.choices(self._listener))
        if number != self._number:
            self._pair = (self._make_pair(number) if number < self._total
                          else (Shown(None), Shown(None)))
            self._number = number

    def _state(self) -> dict[str, Any]:
        samples = {side: {"text": shown.text, "files": {
            kind: f"file/{self._number}-{side}.{kind}" for kind in shown.files}}
            for side, shown in zip(("first", "second"), self._pair)}
        return {"number": self._number, "total": self._total, "listener": self._listener,
                **samples}


class PageServer:
    """Serves the page of a `Comparison` on the loopback interface.

    Attributes:
      url: the address of the page, with its token.
    """

    def __init__(self, comparison: Comparison, *, title: str, port: int = 0):
        """Creates the server, which listens from now on, at a free port for 0.

        Raises:
          OSError: the port is in use or not permitted.
        """
        self._token = secrets.token_urlsafe(16)
        handler = type("Handler", (_Handler,), {
            "comparison": comparison, "token": self._token, "title": title})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{self._token}/"

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Returns a context in which requests are answered."""
        thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of the page."""

    comparison: Comparison
    token: str
    title: str
    timeout = _TIMEOUT
    server_version, sys_version = "vaeseq", ""

    def do_GET(self) -> None:
        path = self._path()
        if path == "":
            nonce = secrets.token_urlsafe(16)
            page = _PAGE.replace("NONCE", nonce).replace("TITLE", html.escape(self.title))
            self._send(page.encode(), "text/html; charset=utf-8", nonce)
        elif path == "state":
            self._send_json(self.comparison.state())
        elif path is not None and path.startswith("file/"):
            content = self.comparison.file(path[len("file/"):])
            if content is None:
                self._refuse(HTTPStatus.NOT_FOUND)
            else:
                kind = "image/png" if path.endswith(".png") else "audio/wav"
                self._send(content, kind)
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        path = self._path()
        if path not in ("choose", "undo"):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        value = self._body()
        number: Any = value.get("number")
        answer: Any = value.get("choice")
        if type(number) is not int or (path == "choose" and answer not in get_args(Answer)):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        try:
            self._send_json(self.comparison.undo(number) if path == "undo"
                            else self.comparison.choose(number, answer))
        except OSError:  # the disk is full
            self._refuse(HTTPStatus.INSUFFICIENT_STORAGE)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: the address is a secret."""

    def _path(self) -> str | None:
        """Returns the path after the token; None for requests that are not of this page."""
        origin = self.headers.get("Origin")
        try:
            hosts = [urllib.parse.urlsplit(address).hostname for address in (
                f"//{self.headers.get('Host', '')}", *([] if origin is None else [origin]))]
        except ValueError:
            return None
        token, slash, path = self.path[1:].partition("/")
        same = hmac.compare_digest(token.encode(), self.token.encode())
        return path if slash and same and set(hosts) <= _LOOPBACK else None

    def _body(self) -> dict[str, Any]:
        size = self.headers.get("Content-Length", "")
        if (self.headers.get("Content-Type") != "application/json" or not size.isdecimal()
                or int(size[:9]) > _LONGEST_REQUEST):
            return {}
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(self.rfile.read(int(size)))
            if isinstance(value, dict):
                return value
        return {}

    def _send_json(self, value: dict[str, Any]) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send(self, content: bytes, kind: str, nonce: str = "") -> None:
        self.send_response(HTTPStatus.OK)
        scripts = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; " if nonce else ""
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": f"default-src 'none'; {scripts}connect-src 'self'; "
                                       "img-src blob:; media-src blob:; frame-ancestors 'none'",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.close_connection = True


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TITLE</title>
<style nonce="NONCE">
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 75em; margin: 1em auto; padding: 0 1em; }
  h1 { font-size: 1.2em; margin: 0; }
  header { display: flex; flex-wrap: wrap; gap: 0 2em; align-items: baseline; }
  progress { width: 100%; }
  main { display: grid; grid-template-columns: repeat(auto-fit, minmax(18em, 1fr)); gap: 1em; }
  section { border: 2px solid #8888; border-radius: 8px; padding: 0.5em 1em 1em; min-width: 0; }
  section.chosen { border-color: #2a7; }
  h2 { margin: 0; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 55vh; overflow-y: auto; }
  img { max-width: 100%; background: #fff; }
  audio { width: 100%; }
  nav { display: flex; flex-wrap: wrap; gap: 0.5em; padding: 0.6em 0; position: sticky; bottom: 0;
        background: Canvas; }
  button { font: inherit; padding: 0.6em 1.2em; border-radius: 8px; border: 1px solid #8888; }
  kbd { border: 1px solid #8888; border-radius: 3px; padding: 0 0.3em; }
  [hidden] { display: none; }
</style>
</head>
<body>
<header><h1>TITLE</h1><span id="count" aria-live="polite"></span></header>
<progress id="progress" value="0" max="1"></progress>
<main id="pair">
  <section id="first">
    <h2>A</h2><audio controls hidden></audio><img alt="" hidden><pre></pre>
  </section>
  <section id="second">
    <h2>B</h2><audio controls hidden></audio><img alt="" hidden><pre></pre>
  </section>
</main>
<p id="done" hidden>Every pair is compared. Thank you; this page can be closed.</p>
<p id="error" role="alert" hidden></p>
<nav>
  <button id="choose-first">A is better <kbd>A</kbd></button>
  <button id="choose-neither">Neither <kbd>N</kbd></button>
  <button id="choose-second">B is better <kbd>B</kbd></button>
  <button id="undo">Undo <kbd>U</kbd></button>
</nav>
<p id="keys">Keys: <kbd>A</kbd>, <kbd>B</kbd> and <kbd>N</kbd> choose, <kbd>U</kbd> takes the
last choice back<span id="play-keys" hidden>, <kbd>1</kbd> and <kbd>2</kbd> play A and B</span>.</p>
<script nonce="NONCE">
"use strict";
const find = (id) => document.getElementById(id);
const sides = ["first", "second"];
let state = null, busy = false, urls = [];

async function blob(path) {
  const url = URL.createObjectURL(await (await fetch(path)).blob());
  urls.push(url);
  return url;
}

async function show(next) {
  const changed = state === null || next.number !== state.number;
  state = next;
  const over = state.number >= state.total;
  find("count").textContent =
    `${state.listener}: ${Math.min(state.number, state.total)} of ${state.total} compared`;
  find("progress").max = state.total;
  find("progress").value = state.number;
  find("pair").hidden = over;
  find("done").hidden = !over;
  for (const name of ["first", "second", "neither"]) find(`choose-${name}`).disabled = over;
  find("undo").disabled = state.number === 0;
  if (!changed) return;
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  for (const side of sides) {
    const section = find(side), files = state[side].files;
    section.querySelector("pre").textContent = state[side].text;
    section.querySelector("pre").hidden = !state[side].text;
    const audio = section.querySelector("audio"), image = section.querySelector("img");
    audio.pause();
    audio.hidden = !files.wav;
    image.hidden = !files.png;
    if (files.wav) audio.src = await blob(files.wav);
    if (files.png) {
      image.src = await blob(files.png);
      image.alt = `Piano roll of ${side === "first" ? "A" : "B"}`;
    }
    if (files.wav) find("play-keys").hidden = false;
  }
}

async function send(path, value) {
  if (busy || state === null) return;
  busy = true;
  try {
    const answer = await fetch(path, {
      method: "POST", headers: {"Content-Type": "application/json"},
      body: JSON.stringify({number: state.number, ...value})});
    if (!answer.ok) throw new Error(`the program answered ${answer.status}`);
    find("error").hidden = true;
    await show(await answer.json());
  } catch (error) {
    find("error").textContent = `Not saved: ${error.message}. Is the program still running?`;
    find("error").hidden = false;
  } finally {
    busy = false;
  }
}

const choose = (choice) => {
  if (state !== null && state.number < state.total) send("choose", {choice});
};
const undo = () => send("undo", {});
const play = (side) => {
  for (const other of sides) if (other !== side) find(other).querySelector("audio").pause();
  const audio = find(side).querySelector("audio");
  if (audio.hidden) return;
  if (audio.paused) { audio.currentTime = 0; audio.play(); } else audio.pause();
};
for (const name of ["first", "second", "neither"])
  find(`choose-${name}`).addEventListener("click", () => choose(name));
find("undo").addEventListener("click", undo);
const keys = {
  a: () => choose("first"), b: () => choose("second"), n: () => choose("neither"), u: undo,
  1: () => play("first"), 2: () => play("second")};
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = keys[event.key.toLowerCase()];
  if (action) { event.preventDefault(); action(); }
});
fetch("state").then((answer) => answer.json()).then(show);
</script>
</body>
</html>
"""
