# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text train --init-from: fine-tunes a trained model on another text."""

import functools
import json
import shutil

import numpy as np
import pytest

from examples.text.model import TextModel
from vaeseq.runs import warm_start

NEW = "sphinx of black quartz, judge my vow! " * 30  # "," and "!" are not in the first text


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "new.txt"
    path.write_text(NEW)
    return path


@pytest.fixture
def train(run, corpus, tmp_path):
    """Runs a short training, at a rate that leaves the weights (almost) as they are."""
    return functools.partial(run, "train", "--log-dir", tmp_path / "log", "--train-corpus", corpus)


TINY_STEP = ("--hparams", "learning_rate=1e-8,weight_decay=0", "--num-steps", 1)


def weights(log_dir):
    return {name: variable.numpy()
            for name, variable in warm_start.weights(TextModel.load(log_dir).gen_core).items()}


def test_a_run_takes_the_weights_of_another_and_then_needs_it_no_more(
        train, trained, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(trained.log_dir, source)
    ended = train("--init-from", source, *TINY_STEP, status=0)
    assert "Warm start with 5 weights of step " in ended.out and "not taken" not in ended.out
    # The vocabulary and the hyperparameters are those of the other run.
    unknown = sum(NEW[:1026].count(character) for character in ",!")  # all but the last tenth
    assert (f"\n5.3 % of the text, {unknown} of 1,026 characters, is outside the vocabulary of "
            "--init-from" in ended.out)
    assert "--vocab-corpus FILE" in ended.out
    before, after = weights(source), weights(tmp_path / "log")
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=1e-6)
    record = json.loads((tmp_path / "log" / "init_from.json").read_text())
    assert record["log_dir"] == str(source) and sorted(record["taken"]) == sorted(before)

    shutil.rmtree(source)
    again = train("--init-from", source, *TINY_STEP[:-1], 2, status=0)
    assert "going on from here" in again.err and "Warm start" not in again.out
    assert "outside the vocabulary" not in again.out
    other = train("--init-from", tmp_path / "third", *TINY_STEP)
    assert other.status == 2 and "holds a run that started from" in other.err


def test_a_model_of_lines_takes_all_weights_of_one_of_whole_texts(train, trained, tmp_path):
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("\u044f" * 9, encoding="utf-8")
    ended = train("--init-from", trained.log_dir, "--hparams", "unit=line,sequence_size=8",
                  "--vocab-corpus", trained.corpus, "--valid-corpus", foreign,
                  "--num-steps", 1, status=0)
    assert "Warm start with 5 weights of step " in ended.out and "not taken" not in ended.out
    assert ("5.3 % of the text, 60 of 1,140 characters, is outside the vocabulary of "
            "--vocab-corpus" in ended.out)
    assert "All of the validation text, 9 of 9 characters, is outside" in ended.out


@pytest.mark.slow
def test_common_characters_keep_their_weights(train, trained, corpus, tmp_path):
    ended = train("--init-from", trained.log_dir, "--vocab-corpus", corpus, *TINY_STEP, status=0)
    assert "(3 of them in part)" in ended.out
    assert "2 characters of the vocabulary are new" in ended.out
    before, after = TextModel.load(trained.log_dir), TextModel.load(tmp_path / "log")
    old, new = (warm_start.weights(model.gen_core)["agent/_encoder/_encoders/0/embeddings"].numpy()
                for model in (before, after))
    common = sorted(set(before.vocabulary.characters) & set(after.vocabulary.characters))
    np.testing.assert_allclose(new[after.vocabulary.encode("".join(common))],
                               old[before.vocabulary.encode("".join(common))], atol=1e-6)
    assert "!" in after.vocabulary.characters


def test_a_missing_damaged_or_foreign_source_is_refused(train, trained, tmp_path):
    ended = train("--init-from", tmp_path / "nowhere")
    assert ended.status == 2 and "--init-from: " in ended.err and "found no run.json" in ended.err
    damaged = tmp_path / "damaged"
    shutil.copytree(trained.log_dir, damaged)
    for path in damaged.glob("checkpoints/*/state.data*"):
        path.write_bytes(path.read_bytes()[:-9])
    ended = train("--init-from", damaged)
    assert ended.status == 2 and "expected an intact checkpoint; all" in ended.err
    (damaged / "run.json").write_text('{"program": "vaeseq-midi", "seed": 0}')
    ended = train("--init-from", damaged)
    assert ended.status == 2 and "found one of 'vaeseq-midi'. Give another --init-from" in ended.err
    assert not (tmp_path / "log").exists()
