# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The page of choices as a command serves it, from its address to the next command."""

import json
import os
import re
import signal
import urllib.request

import pytest

from vaeseq.tuning import collect
from vaeseq.tuning.choices import ChoicesFile
from vaeseq.tuning.learning import Domain
from vaeseq.tuning.page import Shown

# Without active choice nothing is learnt, so that none of it is called.
DOMAIN = Domain(make_scorer=pytest.fail, make_features=pytest.fail, observe=pytest.fail)


def test_a_choice_is_saved_and_the_next_command_printed(tmp_path, monkeypatch, capsys):
    def choose_and_stop(_):
        url = re.search(r"http://\S+", capsys.readouterr().out)[0]
        body = json.dumps({"number": 0, "choice": "second"}).encode()
        urllib.request.urlopen(urllib.request.Request(
            f"{url}choose", body, {"Content-Type": "application/json"})).close()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(collect.time, "sleep", choose_and_stop)
    path = tmp_path / "my choices.jsonl"
    collect.serve(
        path, "me", lambda count, batch: [str(i) for i in range(count)],
        lambda text: Shown(text, text), DOMAIN, total=3, is_active=False, seed=0, title="?",
        port=0, print_next=print)
    with ChoicesFile(path) as file:
        assert [(c.first, c.second, c.choice) for c in file.choices("me")] == [("0", "1", "second")]
    assert capsys.readouterr().out == (
        f"1 choice saved in '{path}'.\nprefer --choices '{path}'\n")


@pytest.mark.parametrize("content", [b"MThd\0\0\0\6", b"notes of mine", b'{"name": "other"'])
def test_a_file_of_something_else_stays_as_it_is(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="line 1: expected a JSON object of a choice"), (
            ChoicesFile(tmp_path / "file")):
        pass
    assert (tmp_path / "file").read_bytes() == content


def test_the_part_of_a_line_that_a_crash_left_is_dropped(tmp_path):
    with ChoicesFile(tmp_path / "file") as file:
        file.append("me", "a", "b", "first")
    whole = (tmp_path / "file").read_bytes()
    for part in (b"{", b'{"id":"0a', b'{"undo":"', whole[:-3]):
        (tmp_path / "file").write_bytes(whole + part)
        with ChoicesFile(tmp_path / "file") as file:
            assert len(file.choices("me")) == 1
        assert (tmp_path / "file").read_bytes() == whole
