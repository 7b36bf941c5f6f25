# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Two worker processes against one process; a killed worker; wrong configurations."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from examples.midi.cli import program as midi_program
from examples.text.data import Vocabulary
from tests.examples.midi import midi_files
from tests.in_process import assert_refused, free_addresses, saved, wait_for
from tests.tiny_text import TEXT
from vaeseq.train import data_sharing, distribute
from vaeseq.train.data_sharing import Part

ROOT = pathlib.Path(__file__).parents[2]
SMALL = ("rnn_hidden_sizes=[8],embed_size=4,batch_size=4,sequence_size=8,num_shards=1,dropout=0")
MIDI = ("rnn_hidden_sizes=[8],lowest_note=55,highest_note=79,decoder=bernoulli,batch_size=4,"
        "relative_channels=0,recall=0,context_skip=false,context_dropout=0,decoder_dropout=0,"
        "sequence_size=16,num_shards=1,grid=8,dropout=0")


def tf_config(addresses, index):
    return json.dumps({"cluster": {"worker": addresses},
                       "task": {"type": "worker", "index": index}})


@contextlib.contextmanager
def pair(example, *words):
    """Starts both workers of a command of a program."""
    code = f"from examples.{example}.cli import main; main()"
    addresses = free_addresses(2)
    with contextlib.ExitStack() as stack:
        workers = []
        for index in range(2):
            workers.append(stack.enter_context(subprocess.Popen(
                [sys.executable, "-c", code, *map(str, words), "--strategy", "multi-worker"],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT),
                     "TF_CONFIG": tf_config(addresses, index)})))
            stack.callback(workers[-1].kill)
        yield workers


def ended(worker):
    """Waits for a worker; returns its exit status, stdout and stderr."""
    out, err = worker.communicate(timeout=300)
    return worker.returncode, out, err


def check_same(ours, expected):
    """Checks for equal weights, states and metrics up to the order of additions."""
    ours_saved, expected_saved = saved(ours), saved(expected)
    assert ours_saved.keys() == expected_saved.keys()
    for name, value in expected_saved.items():
        # 50 updates of weights near 1, each off by a few units in the last of 24 bits.
        np.testing.assert_allclose(ours_saved[name], value, rtol=1e-4, atol=2e-5, err_msg=name)
    lines = [[json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
             for folder in (ours, expected)]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]
    for one, other in zip(*lines, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.mark.slow
def test_text_resumed_after_a_killed_worker_equals_one_process(run, corpus, tmp_path):
    words = ["train", "--train-corpus", corpus, "--hparams", SMALL, "--num-steps", "50",
             "--valid-every", "10", "--valid-fraction", "0"]
    with pair("text", *words, "--log-dir", tmp_path / "two") as (chief, worker):
        wait_for(tmp_path / "two" / "checkpoints" / "step-000000010")
        worker.kill()  # the chief compiles what draws the first sample meanwhile
        status, _, err = ended(chief)
    assert status == 1
    last = err.splitlines()[-1]
    assert last.startswith("vaeseq-text: error: worker 1 (127.0.0.1:"), last
    assert last.endswith("same command again on every worker to resume from the last checkpoint.")
    assert "Traceback" not in err
    (before,) = (tmp_path / "two" / "checkpoints").glob("step-*")
    with pair("text", *words, "--log-dir", tmp_path / "two") as (chief, worker):
        status, out, err = ended(chief)
        silent = ended(worker)
    assert status == 0, err
    assert f"step {int(before.name[5:])}: going on from here" in err
    assert "2 replicas share each batch." in out and "Step 50: done." in out
    assert silent[:2] == (0, "This worker is ready. The chief reports.\n")
    assert "step" not in silent[2] and "Traceback" not in silent[2]
    assert run(*words, "--log-dir", tmp_path / "one").status == 0
    check_same(tmp_path / "two", tmp_path / "one")
    assert "nothing to do" in run(*words, "--log-dir", tmp_path / "two").out


@pytest.mark.slow
def test_midi_equals_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    midi_files.write_scales(tmp_path / "music")
    words = ["train", "--train-files", str(tmp_path / "music"), "--hparams", MIDI, "--num-steps",
             "50", "--valid-every", "50", "--valid-fraction", "0"]
    with pair("midi", *words, "--log-dir", tmp_path / "two") as workers:
        for status, _, err in map(ended, workers):
            assert status == 0, err
    assert midi_program.run([*words, "--log-dir", str(tmp_path / "one")]) == 0
    check_same(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize("config,message", [
    (None, "the environment variable TF_CONFIG to name the workers, found none"),
    ("{'cluster'", "TF_CONFIG: expected a JSON object such as"),
    (tf_config(["a:1", "b:2"], 2), "expected a task of its cluster (worker 0 to 1), got 'worker'"),
    ("worker 1", "the chief ({}) did not answer in time."),
    ("worker 0", "worker 1 ({}) did not connect in time."),
    ("in use", "TF_CONFIG: this worker cannot listen at port {} (Address already in use)."),
])
def test_cluster_errors_are_one_line(run, corpus, tmp_path, monkeypatch, config, message):
    addresses = free_addresses(2)
    port = int(addresses[0].rpartition(":")[2])
    with socket.socket() as other:
        if config == "in use":
            other.bind(("127.0.0.1", port))
            other.listen()
            message = message.format(port)
        if config in ("worker 0", "worker 1", "in use"):
            index = 1 if config == "worker 1" else 0
            message = message.format(addresses[1 - index])
            config = tf_config(addresses, index)
        monkeypatch.delenv("TF_CONFIG", raising=False)
        if config is not None:
            monkeypatch.setenv("TF_CONFIG", config)
        result = run("train", "--train-corpus", corpus, "--hparams", SMALL, "--log-dir",
                     tmp_path / "log", "--strategy", "multi-worker", "--wait-minutes", "0.005")
    assert result.status in (1, 2) and result.out == ""
    assert message in result.err and result.err.startswith("vaeseq-text: error: ")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_workers_with_different_commands_are_refused(run, corpus, tmp_path, monkeypatch):
    addresses = free_addresses(2)
    refused = []
    chief = threading.Thread(target=_refused, args=(tf_config(addresses, 0), refused))
    chief.start()
    monkeypatch.setenv("TF_CONFIG", tf_config(addresses, 1))
    result = run("train", "--train-corpus", corpus, "--hparams", SMALL, "--log-dir",
                 tmp_path / "log", "--strategy", "multi-worker")
    chief.join(60)
    assert_refused(result, f"worker 1 ({addresses[1]}) has num_steps=5000, but the chief")
    assert refused and refused[0] in result.err


def _refused(config, refused):
    """Runs the rendezvous of a chief with another number of steps."""
    cluster = distribute.parse_tf_config(config)
    with data_sharing.sending(cluster) as send:
        send(lambda task: Part({"vocabulary": Vocabulary.of([TEXT], 100, 1).to_json()},
                               np.zeros([0], np.uint8)), 60.0)
    try:
        distribute.rendezvous(cluster, {"num_steps": 7}, 60.0)
    except ValueError as error:
        refused.append(str(error))
