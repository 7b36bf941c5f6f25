# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""vaeseq-text latent."""

import re

import pytest

from tests import tiny_text
from tests.in_process import assert_one_line

SMALL = (tiny_text.SMALL
         + ",vae_type=DSAE,latent_size=2,dsae_static_size=3,latent_decoder_fc_layers=[]")
ONE, OTHER = "the quick", "lazy dog."


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    """A trained run; tests only read it."""
    return tiny_text.train(tmp_path_factory.mktemp("dsae"), "--num-steps", "2", hparams=SMALL)


@pytest.fixture
def latent(run, log_dir):
    """Returns a function that runs the command and returns each sample by its caption."""
    def of(*words):
        printed = run("latent", "--log-dir", log_dir, *words, status=0).out
        return dict(re.findall(r"^--- ([^\n]*) ---\n(.*?)\n(?=--- |\Z)", printed, re.M | re.S))

    return of


def test_a_walk_begins_and_ends_with_the_two_texts(latent):
    walk = latent("--from", ONE, "--to", OTHER, "--num-samples", 3)
    assert list(walk) == ["0 % of the way", "50 % of the way", "100 % of the way"]
    for text, caption in ((ONE, "0 % of the way"), (OTHER, "100 % of the way")):
        moved = latent("--from", text, "--num-samples", 3, "--dimension", 4)
        assert list(moved) == ["moved by -3.00", "moved by +0.00", "moved by +3.00"]
        assert moved["moved by +0.00"] == walk[caption] and len(walk[caption]) == len(text)
    assert walk["0 % of the way"] != walk["100 % of the way"]


def test_exchanged_latents_of_equal_texts_change_nothing(latent):
    swapped = latent("--from", ONE, "--to", ONE, "--swap")
    assert list(swapped) == [
        "the first text", "the second text", "the first with the second's latent of the sequence",
        "the second with the first's latent of the sequence"]
    assert len(set(swapped.values())) == 1
    assert len(set(latent("--from", ONE, "--to", OTHER, "--swap").values())) > 1


def test_without_a_text_latents_are_drawn_from_the_prior_by_the_seed(latent):
    drawn = latent("--length", 20, "--range", 0.5, "--seed", 1)
    assert len(drawn) == 5 and {len(text) for text in drawn.values()} == {20}
    assert latent("--length", 20, "--range", 0.5, "--seed", 1) == drawn
    assert latent("--length", 20, "--range", 0.5, "--seed", 2) != drawn


def test_wrong_options_are_refused_in_one_line(run, log_dir, trained):
    cases = [
        (["--log-dir", log_dir, "--to", ONE], "--to: expected a text to walk from too"),
        (["--log-dir", log_dir, "--from", ONE, "--swap"], "--swap: expected two texts"),
        (["--log-dir", log_dir, "--from", ONE, "--to", "Ω"], "--to: expected a text of"),
        (["--log-dir", log_dir, "--from", ""], "got an empty one"),
        (["--log-dir", log_dir, "--dimension", 5], "one of the 5 from 0 to 4; got 5"),
        (["--log-dir", trained.log_dir], "expected a model with latents, found vae_type=RNN"),
    ]
    for words, message in cases:
        assert_one_line(run("latent", *words), message)
