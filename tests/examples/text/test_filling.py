# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text with vae_type=MASKDIFF: training, bounds, samples, gaps, and wrong use."""

import json

import pytest

from tests import tiny_text
from tests.in_process import assert_one_line


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maskdiff")
    hparams = tiny_text.SMALL.replace("sequence_size=8", "sequence_size=24").replace(
        "sizes=[8]", "sizes=[16]")
    return tiny_text.train(folder, "--num-steps", "60", "--valid-every", "60",
                           hparams=f"vae_type=MASKDIFF,log_prob_samples=2,{hparams}")


def test_scores_are_bounds_with_their_error(run, log_dir):
    score = json.loads(run("evaluate", "--log-dir", log_dir, "--json").out)
    assert score["bound"] == "elbo" and score["num_samples"] == 2 and score["standard_error"] > 0
    table = run("evaluate", "--log-dir", log_dir, "--hparams", "maskdiff_steps=1").out
    assert "(elbo, 2 samples +- " in table and "KL" not in table and "collapse" not in table
    one_step = float(table.splitlines()[1].split()[0])
    assert one_step > score["nats_per_character"]


def test_gaps_are_filled_and_the_rest_is_as_it_was(run, log_dir):
    text = "the quick ____n fox jumps over ___ lazy"
    words = ("generate", "--log-dir", log_dir, "--fill", text, "--num-samples", 2)
    ended = run(*words, "--seed", 3, status=0)
    lines = ended.out.replace("\n", "|").split("--- sample ")[1:]
    bodies = [line.partition("---|")[2].removesuffix("|").replace("|", "\n") for line in lines]
    for body in bodies:
        assert len(body) == len(text)
        assert all(one in ("_", other) for one, other in zip(text, body)) and "_" not in body
    assert run(*words, "--seed", 3).out == ended.out != run(*words, "--seed", 4).out


def test_samples_of_any_length_begin_with_the_prime(run, log_dir):
    ended = run("generate", "--log-dir", log_dir, "--length", 60, "--prime", "the lazy",
                "--hparams", "maskdiff_steps=8", "--top-k", 3)
    assert ended.status == 0 and ended.out.startswith("the lazy") and len(ended.out) == 69


@pytest.mark.parametrize(("words", "message"), [
    (["generate", "--fill", "no gaps"], "expected a text with gaps, one _ for each character"),
    (["generate", "--fill", "a _", "--prime", "b"], "--fill: expected a text with gaps alone"),
    (["generate", "--fill", "a \u72d0_"], "--fill: expected characters of the model's vocabulary"),
    (["generate", "--length", "20000"], "expected at most 16,384 steps, got 20,000"),
    (["evaluate", "--bound", "iwae"], "the bound 'iwae' needs a model that generates step by step"),
    (["export", "--output", "{tmp}/model"], "an export needs a model that generates step by step"),
], ids=lambda value: "")
def test_what_the_model_cannot_do_is_refused_in_a_line(run, log_dir, tmp_path, words, message):
    command, *rest = words
    ended = run(command, "--log-dir", log_dir, *(word.format(tmp=tmp_path) for word in rest))
    assert_one_line(ended, message)


def test_gaps_need_a_model_of_whole_sequences(run, trained):
    ended = run("generate", "--log-dir", trained.log_dir, "--fill", "the ___")
    assert_one_line(ended, "needs a model of whole sequences, vae_type=MASKDIFF, or "
                    "GAUSSDIFF for real numbers; got RNN")
