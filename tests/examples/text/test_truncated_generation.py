# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Truncated sampling in the commands of vaeseq-text."""

import json

import pytest
import tensorflow as tf

from tests.in_process import assert_one_line


def test_the_most_likely_symbol_alone_makes_all_samples_equal(run, trained):
    words = ("generate", "--log-dir", trained.log_dir, "--length", "20", "--num-samples", "2",
             "--prime", "a")
    greedy, free = (run(*words, *more)[1] for more in (("--top-k", "1"), ()))
    first, second = (text.splitlines()[0] for text in greedy.split("---\n")[1:])
    assert first == second
    assert free != greedy


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


@pytest.mark.parametrize("words", [("--top-k", "-1"), ("--top-p", "0"), ("--min-p", "2")])
def test_a_truncation_out_of_range_is_one_line(run, trained, words):
    assert_one_line(
        run("generate", "--log-dir", trained.log_dir, *words), f"{words[0]}: expected")
