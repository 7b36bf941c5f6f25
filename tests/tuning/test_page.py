# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The file of choices and the page that fills it: nothing is lost, and nothing else is served."""

import errno
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.parse

import pytest

from vaeseq.tuning import choices
from vaeseq.tuning.choices import ChoicesFile
from vaeseq.tuning.page import Comparison, PageServer, Shown

LINE = {"id":"1","listener": "ann", "first": "x", "second": "y", "choice": "first"}


def _pair(number):
    return (Shown(f"left {number}", f"left {number}", {"wav": b"RIFF"}),
            Shown(f"right {number}", f"right {number}", {"png": b"PNG"}))


@pytest.fixture
def server(tmp_path):
    with ChoicesFile(tmp_path / "choices.jsonl") as file:
        server = PageServer(Comparison(file, "ann", _pair, 3), title="A <b> & c")
        with server.serving():
            yield server


def _ask(server, path, body=None, **headers):
    """Sends a request; returns the status, the headers and the content."""
    address = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        if body is None:
            connection.request("GET", path, headers=headers)
        else:
            connection.request("POST", path, json.dumps(body),
                               {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_choices_are_appended_and_taken_back(tmp_path):
    path = tmp_path / "choices.jsonl"
    with ChoicesFile(path) as file:
        file.append("ann", "x", [1, 2], "second")
        file.append("bob", "x", "y", "neither")
        file.undo("ann")
        file.undo("ann")
        file.append("ann", "x", "z", "first")
        assert [choice.second for choice in file.choices("ann")] == ["z"]
    assert [(choice.listener, choice.preference) for choice in choices.read(path)] == [
        ("bob", 0.5), ("ann", 1.0)]
    assert len(path.read_text().splitlines()) == 4  # nothing is rewritten


def test_a_second_process_is_refused(tmp_path):
    with ChoicesFile(tmp_path / "choices.jsonl"), \
            pytest.raises(ValueError, match="another process collects choices in this file"):
        ChoicesFile(tmp_path / "choices.jsonl")
    with ChoicesFile(tmp_path / "choices.jsonl"):
        pass


def test_an_unfinished_last_line_is_dropped(tmp_path):
    path = tmp_path / "choices.jsonl"
    whole = json.dumps(LINE, separators=(",", ":"))
    for end, count in (("", 1), ("\n" + whole[:20], 1), ("\n" + whole.replace("1", "2"), 2)):
        path.write_text(whole + end)
        assert len(choices.read(path)) == count
        with ChoicesFile(path) as file:
            file.append("ann", "x", "y", "second")
        assert len(choices.read(path)) == count + 1


@pytest.mark.parametrize("line", [
    "", "[]", "{}", "not json", "[" * 10**5, '{"undo": "2"}', '{"undo": 1}', '{"undo": {}}',
    json.dumps({**LINE, "choice": "both"}), json.dumps({**LINE, "choice": ["first"]}),
    json.dumps({**LINE, "id": []}), json.dumps({**LINE, "listener": "a\nb"}),
    json.dumps({**LINE, "more": 1}), json.dumps(LINE)])
def test_a_hostile_line_is_named(line, tmp_path):
    path = tmp_path / "choices.jsonl"
    path.write_text(f"{json.dumps(LINE)}\n{line}\n")
    with pytest.raises(ValueError, match=r"choices.jsonl', line 2: expected a JSON object"):
        choices.read(path)


def test_nothing_is_lost_on_a_kill(tmp_path):
    """Each choice that was announced is in the file after SIGKILL."""
    code = ("import sys\nfrom vaeseq.tuning.choices import ChoicesFile\n"
            "file = ChoicesFile(sys.argv[1])\n"
            "for number in range(10**6):\n"
            "    file.append('ann', number, 'x' * 1000, 'first')\n"
            "    print(number, flush=True)\n")
    path = tmp_path / "choices.jsonl"
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True,
                          cwd=os.getcwd()) as process:
        announced = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGKILL)
        announced += process.stdout.readlines()
    saved = [choice.first for choice in choices.read(path)]
    assert saved[:len(announced)] == list(range(len(announced)))
    with ChoicesFile(path) as file:  # the lock of a killed process is gone
        assert len(file.choices("ann")) == len(saved)


def test_the_page_shows_pairs_and_records_choices(server, tmp_path):
    base = urllib.parse.urlsplit(server.url).path
    status, headers, page = _ask(server, base)
    assert status == 200 and b"A &lt;b&gt; &amp; c" in page and b"NONCE" not in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    state = json.loads(_ask(server, f"{base}state")[2])
    assert (state["number"], state["total"], state["first"]["text"]) == (0, 3, "left 0")
    assert _ask(server, base + state["first"]["files"]["wav"])[2] == b"RIFF"
    assert _ask(server, base + state["second"]["files"]["png"])[2] == b"PNG"

    def choose(number, choice):
        return json.loads(_ask(server, f"{base}choose", {"number": number, "choice": choice})[2])

    assert choose(0, "first")["number"] == 1
    assert choose(0, "second")["number"] == 1  # a double click
    assert choose(1, "neither")["second"]["text"] == "right 2"
    assert json.loads(_ask(server, f"{base}undo", {"number": 2})[2])["number"] == 1
    assert choose(1, "second")["number"] == 2
    over = choose(2, "first")
    assert over["number"] == 3 and over["first"] == {"text": "", "files": {}}
    assert choose(3, "first")["number"] == 3
    saved = choices.read(tmp_path / "choices.jsonl")
    assert [(choice.first, choice.choice) for choice in saved] == [
        ("left 0", "first"), ("left 1", "second"), ("left 2", "first")]


def test_a_choice_is_recorded_once_where_the_next_pair_fails(tmp_path):
    failures = [OSError(errno.ENOSPC, "full")]

    def make_pair(number):
        if number and failures:
            raise failures.pop()
        return _pair(number)

    with ChoicesFile(tmp_path / "choices.jsonl") as file:
        page = Comparison(file, "ann", make_pair, 3)
        with pytest.raises(OSError, match="full"):
            page.choose(0, "first")
        assert page.choose(0, "first")["number"] == 1
        page.choose(1, "second")
        failures.append(OSError(errno.ENOSPC, "full"))
        with pytest.raises(OSError, match="full"):
            page.undo(2)
        assert page.undo(2)["number"] == 1
        assert [choice.first for choice in file.choices("ann")] == ["left 0"]


def test_the_page_answers_to_its_token_and_to_this_machine_only(server):
    base = urllib.parse.urlsplit(server.url).path
    for path in ("/", "/state", "/wrong/state", base[:-1], f"{base}file/../state",
                 f"{base}file/1-first.wav", f"{base}../../etc/passwd", f"{base}/etc/passwd"):
        assert _ask(server, path)[0] == 404, path
    assert _ask(server, base, Host="evil.example")[0] == 404
    assert _ask(server, base, Host="[::1")[0] == 404
    assert _ask(server, base, Host="localhost:1234")[0] == 200  # a forwarded port
    ok = {"number": 0, "choice": "first"}
    assert _ask(server, f"{base}choose", ok, Origin="http://evil.example")[0] == 404
    assert _ask(server, f"{base}choose", ok, **{"Content-Type": "text/plain"})[0] == 400
    for body in ([], {}, {"number": True, "choice": "first"}, {"number": 0, "choice": "both"},
                 {"number": 0, "choice": []}, {"number": 0, "choice": "x" * 5000}):
        assert _ask(server, f"{base}choose", body)[0] == 400, body
    assert json.loads(_ask(server, f"{base}state")[2])["number"] == 0
    port = urllib.parse.urlsplit(server.url).port
    with pytest.raises(OSError, match="refused"), socket.socket() as other:
        other.connect(("127.0.0.2", port))  # loopback's other addresses are not listened on
