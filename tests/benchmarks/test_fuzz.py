# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Hostile input ends in success or in one clear line: the short form of `benchmarks.robustness.fuzz`."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.robustness import fuzz_crew, fuzz_files, fuzz_warm, fuzz_worker
from benchmarks.robustness import fuzz_mutations as mutations
from benchmarks.robustness.driven import DRIVEN
from benchmarks.robustness.fuzz_guard import Guard, contents
from benchmarks.robustness.fuzz_kinds import KINDS, PROGRAMS, Case, Space
from benchmarks.robustness.fuzz_tally import Tally, table
from examples.play.actor_critic import training
from examples.play.actor_critic.learner import Learner
from examples.play.envs import env
from vaeseq.model import Model
from vaeseq.runs.checkpoint import Checkpoints

_CASES = 30  # of each kind


def _untrained(self, sequences, *, num_steps, valid=(), **_):
    """`Model.train` that saves the first weights."""
    with self._opened():
        self.build()
        self._checkpoints.save(2, self._objects())
        self._checkpoints.save(num_steps, self._objects(), best=True)
        self.make_writer(0).close()
    return fuzz_warm.TrainResult(num_steps, "done", 1.0, 0.1)


def _unlearnt(hparams, log_dir, *, num_steps, seed, **_):
    """`training.run` that saves the first weights."""
    with log_dir.locked():
        log_dir.create(hparams, seed)
        learner = Learner(hparams, env.game(hparams.game), seed=seed)
        checkpoints = Checkpoints(log_dir.checkpoints)
        objects = training._Sitting(learner, checkpoints)._objects
        checkpoints.save(2, objects)
        checkpoints.save(num_steps, objects, best=True)
        training._writer(log_dir, 0).close()
    return training.Learned(num_steps, "done", 1.0, 1.0, False)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Runs of all programs, and a folder for cases."""
    root = tmp_path_factory.mktemp("fuzz")
    made = Space(root / "case", root / "made", root / "executed", root / "home")
    made.home.mkdir()
    here = os.getcwd()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
            patch.setenv(name, str(made.home))
        with pytest.MonkeyPatch.context() as train:
            train.setattr(Model, "train", _untrained)
            train.setattr(training, "run", _unlearnt)
            for name in PROGRAMS:
                place = made.made / name
                place.mkdir(parents=True)
                data = DRIVEN[name].make_data(place)
                (place / "data").write_text(data, "utf-8")
                assert DRIVEN[name].program.run(DRIVEN[name].train(
                    place / "log", data, DRIVEN[name].small, "--num-steps", "4")) == 0
        yield made
    os.chdir(here)


@pytest.fixture(scope="module")
def guard():
    return Guard()


@pytest.fixture(scope="module")
def warm(space):
    return fuzz_warm.Warm(space)


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_ends_well(kind, space, guard, warm):
    statuses = set()
    for number in range(_CASES):
        asked = {"kind": kind, "number": number, "depth": "warm"}
        said = fuzz_worker.answer(asked, 1, space, guard, warm)
        assert said["findings"] == [], json.dumps(said)
        statuses.add(said["status"])
    assert statuses >= {0, 2}, "every case of this kind ends alike"


def test_a_case_is_the_same_again(space):
    for kind in KINDS:
        first = fuzz_worker.make(kind, 3, 0, space).words
        before = {path: size for path, (size, _) in contents(space.case).items()}
        assert fuzz_worker.make(kind, 3, 0, space).words == first
        assert {path: size for path, (size, _) in contents(space.case).items()} == before
        assert fuzz_worker.make(kind, 4, 0, space).words != first or before


# The payloads would run, and the judge would see it.


def test_the_planted_pickle_works(tmp_path):
    pickle.loads(mutations.pickled(tmp_path / "made"))
    assert (tmp_path / "made").is_dir()
    buffer = fuzz_files.archive(np.random.default_rng(0), tmp_path / "other")
    assert isinstance(buffer, bytes) and not (tmp_path / "other").exists()


def test_the_planted_expression_works(tmp_path):
    eval(mutations.expression(tmp_path / "made"))
    assert (tmp_path / "made").is_dir()
    assert json.dumps(str(tmp_path)) in mutations.tagged(tmp_path)


def _loads(space):
    pickle.loads(mutations.pickled(space.mark))


def _writes(space):
    (space.case / "beside").write_text("x")


def _changes(space):
    os.truncate(space.case / "victim", 0)


def _starts(space):
    subprocess.run(["true"], check=True)


def _raises(space):
    raise LookupError("never mind")


def _interrupts(space):
    raise GeneratorExit


@pytest.mark.parametrize(("act", "said"), [
    (_loads, "a pickle was loaded"), (_writes, "beside"), (_changes, "victim"),
    (_starts, "a process was started"), (_raises, "the error was not expected"),
    (_interrupts, "GeneratorExit left the program")],
    ids=lambda value: value.__name__ if callable(value) else "")
def test_what_may_not_be_done_is_found(act, said, space, guard, warm, monkeypatch):
    monkeypatch.setattr("examples.text.commands.generate.run", lambda options: act(space))
    monkeypatch.setitem(KINDS, "corpora", lambda rng, space: Case(
        "text", ["generate", "--log-dir", str(space.log("text"))]))
    asked = {"kind": "corpora", "number": 0, "depth": "warm"}
    found = fuzz_worker.answer(asked, 0, space, guard, warm)["findings"]
    assert any(said in finding for finding in found), found
    assert not space.mark.exists()


def test_what_is_written_beside_an_open_directory(tmp_path, guard):
    (tmp_path / "own" / "a").mkdir(parents=True)
    (tmp_path / "own" / "a" / "b").write_text("")
    (tmp_path / "other").write_text("")
    with guard.watching([tmp_path / "own"]) as seen:
        shutil.rmtree(tmp_path / "own" / "a")  # removes "b" by the descriptor of "a"
        opened = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(PermissionError):
            os.unlink("other", dir_fd=opened)
        os.close(opened)
    assert [finding.split()[0] for finding in seen] == ["os.remove"]


def test_what_was_asked_for_is_prevented_and_no_finding(tmp_path, guard):
    with guard.watching([tmp_path / "own"], [str(tmp_path / "asked")]) as seen:
        for name in ("asked", "asked.too"):
            with pytest.raises(PermissionError):
                (tmp_path / name).mkdir()
    assert len(seen) == 1 and "asked.too" in seen[0]


def _ended(status=2, err="vaeseq-text: error: no\n", out="", mebibytes=100.0):
    return fuzz_worker.Ended(status, err, out, 0.1, mebibytes, [])


@pytest.mark.parametrize(("ended", "said"), [
    (_ended(), None),
    (_ended(0, "train 1/1 steps\n"), None),
    (_ended(err="one\nvaeseq-text: error: no\n"), None),
    (_ended(err="Traceback (most recent call last):\nvaeseq-text: error: no\n"), "a traceback"),
    (_ended(err="vaeseq-text: error: no\nWARNING\n"), "1 lines tell the error"),
    (_ended(err=""), "0 lines tell the error"),
    (_ended(err="vaeseq-text: error: no\n" * 2), "2 lines tell the error"),
    (_ended(1, "vaeseq-text: interrupted\n"), "no error is told"),
    (_ended(1, "vaeseq-text: error: unexpected KeyError: 1\n"), "the error was not expected"),
    (_ended(err="vaeseq-text: error: " + "x" * 5000), "a line of 5020 characters"),
    (_ended(-6, ""), "exit status -6"),
    (_ended(0, "", "", 3000.0), "3000 MiB"),
], ids=lambda value: value or "well" if isinstance(value, (str, type(None))) else "")
def test_how_an_end_is_judged(ended, said):
    assert fuzz_worker.findings(Case("text", []), ended) == ([said] if said else [])


def test_a_worker_that_waits_or_works_too_long_is_ended(monkeypatch):
    monkeypatch.setitem(fuzz_crew._MOST_SECONDS, "warm", 1.0)
    for code, said in (("import time; time.sleep(60)", "waiting"), ("while True: pass", "work")):
        worker = subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        answer = fuzz_crew._ask(worker, fuzz_crew.Asked("corpora", 0, "warm"))
        worker.communicate()
        assert answer["dead"] and answer["findings"][0].endswith(f"s of {said}")


def test_the_tally(capsys):
    tally = Tally()
    base = {"kind": "corpora", "number": 1, "depth": "warm", "seconds": 0.5, "mebibytes": 7.0}
    for status, said, found in (
            (0, "", []), (2, "error: 'a' got 1", []), (2, "error: 'b' got 2", []),
            (1, "error: full", ["a traceback"])):
        tally.add({**base, "status": status, "said": said, "findings": found})
    row = tally.as_dict()
    assert (row["cases"], row["succeeded"], row["refused"], row["failed"]) == (4, 1, 2, 1)
    assert row["different_messages"] == 2 and row["findings"] == 1
    assert Tally(json.loads(json.dumps(row))).as_dict() == row  # a run that goes on from its output
    assert json.loads(capsys.readouterr().out)["findings"] == ["a traceback"]
    assert "| corpora | 4 | 1 | 1 | 2 | 2 | 1 |" in table({"corpora": tally})


def test_mutations_are_functions_of_their_generator():
    for seed in range(50):
        one, other = (mutations.spoil(b"a text to spoil" * 9, np.random.default_rng(seed), [b"xyz"])
                      for _ in range(2))
        assert one == other
    many = {mutations.spoil(b"a text to spoil" * 9, np.random.default_rng(n)) for n in range(50)}
    assert len(many) > 45


def test_an_index_with_other_bytes_has_the_right_checksums(tmp_path, space):
    (path,) = list(pathlib.Path(space.log("text") / "checkpoints").glob("best-*/state.index"))
    whole = path.read_bytes()
    assert fuzz_files.crc(b"123456789") == 0xE3069283  # the check value of CRC-32C
    spoilt = fuzz_files.index(whole, np.random.default_rng(0))
    assert spoilt != whole and len(spoilt) == len(whole)
