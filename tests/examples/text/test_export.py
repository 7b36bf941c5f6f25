# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text export: what a client without vaeseq gets is what the library gives, bit for bit."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from examples.text.cli import program
from examples.text.model import TextModel
from vaeseq import data, seeds

ROOT = pathlib.Path(__file__).parents[3]
ROWS, WINDOW = 2, 16
SEED = (5 << 31) + 7  # of more than 32 bits


# Equal bits need equally compiled programs.
@pytest.fixture(scope="module", params=[["--no-xla"], pytest.param(
    [], marks=[pytest.mark.xla, pytest.mark.slow])], ids=["graph", "xla"])
def exported(request, trained, tmp_path_factory):
    """A model, in a place whose name is none that TensorFlow could take."""
    path = tmp_path_factory.mktemp("a model") / os.fsdecode(b"caf\xe9 'x'") / "1"
    status = program.run(["export", "--log-dir", str(trained.log_dir), "--output", str(path),
                          "--rows", str(ROWS), "--window", str(WINDOW), *request.param])
    assert status == 0
    return path


@pytest.fixture(scope="module")
def ask(exported, tmp_path_factory):
    """Sends a request to a process in which vaeseq cannot be imported; gives the outputs."""
    plain = tmp_path_factory.mktemp("served") / "1"
    plain.symlink_to(exported)
    with subprocess.Popen(
            [sys.executable, ROOT / "tests" / "rest_form.py", plain], cwd=plain.parent, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        def send(signature, inputs):
            server.stdin.write(json.dumps({"signature_name": signature, "inputs": inputs}) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())["outputs"]

        yield send
        server.stdin.close()


@pytest.fixture(scope="module")
def model(trained):
    return TextModel.load(trained.log_dir)


def test_scores(ask, model):
    texts = ["the quick brown fox jumps", "", "lazy"]
    rows = [model.vocabulary.encode(text) for text in texts]
    padded = np.zeros([3, 25], int)
    for row, symbols in zip(padded, rows):
        row[:len(symbols)] = symbols
    scores = ask("score", {"observed": padded.tolist(), "lengths": [25, 0, 4], "seed": SEED})
    batches = data.windows(rows, ROWS, WINDOW)
    windows = list(model.evaluator().windows(batches, seed=seeds.make(SEED)))
    first = np.concatenate([window.increments for window in windows[:2]], 1)[:, :25]
    np.testing.assert_array_equal(np.float32(scores), [*first, windows[2].increments[0].tolist()
                                                       + [0.0] * 9])


def test_samples(ask, model):
    prime = model.vocabulary.encode("the ")
    outputs = ask("generate", {"num_samples": 2, "length": 40, "prime": prime.tolist(),
                             "temperature": 0.7, "seed": SEED})
    np.testing.assert_array_equal(outputs["lengths"], [40, 40])
    chunks = list(model.sampler.stream(
        num_samples=2, length=40, prime=prime, temperature=0.7, seed=SEED))
    np.testing.assert_array_equal(
        outputs["observed"], np.concatenate([chunk.observed for chunk in chunks], 1))
    # Of what was drawn, by a program compiled apart, which on some processors rounds otherwise.
    np.testing.assert_allclose(
        np.float32(outputs["log_prob"]), np.concatenate([chunk.log_prob for chunk in chunks], 1),
        rtol=3e-7)


def test_what_a_client_needs_is_beside_the_model(exported, model):
    extra = exported / "assets.extra"
    vocabulary = json.loads((extra / "vocabulary.json").read_text())
    assert vocabulary["characters"] == model.vocabulary.characters
    description = json.loads((extra / "model.json").read_text())
    assert description["hparams"]["rnn_hidden_sizes"] == [8] and description["step"] in (30, 60)
    assert (description["rows"], description["window"]) == (ROWS, WINDOW)
    assert description["bound"] == "exact"
    assert description["signatures"]["score"]["inputs"]["observed"] == {
        "dtype": "int32", "shape": [None, None]}
    assert {"initial_state", "step", "observe", "generate"} < set(description["signatures"])


def test_wrong_use(run, trained, exported, tmp_path):
    ended = run("export", "--log-dir", trained.log_dir, "--output", exported)
    assert ended.status == 2 and "expected a directory to make, or an empty one" in ended.err
    assert ended.err.count("\n") == 1
    ended = run("export", "--log-dir", tmp_path, "--output", tmp_path / "model")
    assert ended.status == 2 and "found no run.json there" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_export_draws_from_the_truncation_it_was_made_with(run, trained, tmp_path):
    model = tmp_path / "model"
    run("export", "--log-dir", trained.log_dir, "--output", model, "--top-k", "1", "--no-xla")
    about = json.loads((model / "assets.extra" / "model.json").read_text("utf-8"))
    assert about["truncation"] == {"top_k": 1, "top_p": 1.0, "min_p": 0.0}
    observed = tf.saved_model.load(str(model)).signatures["generate"](
        num_samples=tf.constant(3), length=tf.constant(8), prime=tf.constant([0]),
        temperature=tf.constant(1.0), seed=tf.constant(1, tf.int64))["observed"].numpy()
    assert (observed == observed[0]).all()
