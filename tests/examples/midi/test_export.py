# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-midi export and train --init-from, with the small run of the golden tests."""

import json
import shutil

import numpy as np
import tensorflow as tf

from examples.midi.cli import program
from examples.midi.commands import train
from examples.midi.hparams import MidiHParams
from examples.midi.model import MidiModel
from tests import rest_form
from tests.examples.midi import midi_files
from tests.golden import cases
from vaeseq import data, seeds
from vaeseq.bounds import ELBO
from vaeseq.evaluate.likelihood import Evaluator
from vaeseq.runs import warm_start

SOURCE = cases.RUNS / "midi-rnn"
WINDOW = 16


def test_an_exported_model_scores_and_generates_music(tmp_path, capsys):
    path = tmp_path / "model"
    assert program.run(["export", "--log-dir", str(SOURCE), "--output", str(path), "--no-xla",
                        "--window", str(WINDOW)]) == 0
    assert f"Step {cases.NUM_STEPS} is in {path}" in capsys.readouterr().out
    captured = json.loads((path / "assets.extra" / "model.json").read_text())
    assert captured["unit"] == "frame" and captured["hparams"]["lowest_note"] == 60
    assert captured["signatures"]["generate"]["inputs"]["prime"]["shape"] is None
    served = tf.saved_model.load(str(path))

    def ask(signature, **inputs):
        request = json.dumps({"signature_name": signature, "inputs": inputs})
        return json.loads(rest_form.answer(served, request))

    roll = cases.sequences("midi-rnn")[0][:20]
    scores = ask("score", observed=[roll.tolist()], lengths=[20], seed=0)["outputs"]
    original = MidiModel.load(SOURCE).gen_core
    evaluator = Evaluator(original.agent, original.core, ELBO(), jit_compile=False)
    windows = evaluator.windows(data.windows([roll], 1, WINDOW), seed=seeds.make(0))
    np.testing.assert_array_equal(
        np.float32(scores[0]), np.concatenate([w.increments[0] for w in windows])[:20])

    options = {"num_samples": 1, "length": 3, "temperature": 1, "seed": 1}
    for prime in ([], roll.tolist()):
        observed = ask("generate", prime=prime, **options)["outputs"]["observed"]
        assert np.shape(observed) == (1, 3, 8) and set(np.ravel(observed)) <= {0.0, 1.0}
    assert "expected notes from 0 to 1" in ask(
        "score", observed=[[[2] + [0] * 7]], lengths=[1], seed=0)["error"]
    assert "prime: expected none, or steps of shape" in ask(
        "generate", prime=[[0, 1]], **options)["error"]


def test_init_from_takes_the_weights_of_another_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "music").mkdir()
    for number in range(4):
        melody = midi_files.melody([60 + (number + 3 * step) % 8 for step in range(20)])
        (tmp_path / "music" / f"{number}.mid").write_bytes(melody)
    log_dir = tmp_path / "log"
    status = program.run([
        "train", "--log-dir", str(log_dir), "--train-files", str(tmp_path / "music"),
        "--init-from", str(SOURCE), "--num-steps", "1", "--hparams",
        "learning_rate=1e-8,rnn_hidden_sizes=[7]"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    assert f"of step {cases.NUM_STEPS} of {str(SOURCE)!r}" in captured.out
    assert "not taken: core/_d_core/_layers/0/_gates/b [28]: that model has [24]" in captured.out
    # Notes are centred by the means that the weights were trained with.
    assert (log_dir / "notes.json").read_text() == (SOURCE / "notes.json").read_text()
    before, after = (MidiModel.load(path).gen_core for path in (SOURCE, log_dir))
    names = json.loads((log_dir / "init_from.json").read_text())["taken"]
    assert names
    theirs, ours = warm_start.weights(before), warm_start.weights(after)
    for name in names:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)


def test_a_warm_start_takes_no_programs(tmp_path):
    source = shutil.copytree(SOURCE, tmp_path / "source")
    hparams = MidiHParams.load(SOURCE / "hparams.json")
    (source / "hparams.json").write_text(hparams.replace(programs=(40,)).to_json())
    assert train._default_hparams(source) == hparams
    assert train._default_hparams(source).replace(parts=2).programs == ()
