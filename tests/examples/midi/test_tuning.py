# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tuning towards a reward: the optimum of KL control, resumed runs, refused options."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from examples.midi.cli import program
from examples.midi.data import archives, sources
from examples.midi.hparams import MidiHParams
from examples.midi.model import MidiModel
from examples.midi.tuning import policy
from tests import small
from tests.in_process import assert_one_line, runner
from vaeseq import bounds, seeds
from vaeseq.data import Batch
from vaeseq.runs.checkpoint import Checkpoints
from vaeseq.train.ops import NumericsError

TINY = MidiHParams().parse(
    "lowest_note=60,highest_note=61,rnn_hidden_sizes=[8],masked_hidden_size=8,transpose=0,"
    "relative_channels=0,recall=0,context_skip=false,context_dropout=0,decoder_dropout=0,"
    "batch_size=2,sequence_size=8,num_shards=1,latent_size=2,latent_decoder_fc_layers=[4],"
    "log_prob_samples=2,dropout=0,grid=4")
MEAN = np.array([0.3, 0.4])
SILENCE = Batch(np.zeros([1, 2, 2], np.uint8), np.array([2], np.int32), np.array([True]))


@pytest.fixture
def midi(capsys):
    """Runs a command of vaeseq-midi in this process."""
    return runner(program, capsys)


def _model(folder, hparams=TINY, scale=0.8):
    """Returns a model with weights drawn from a seed."""
    model = MidiModel(hparams, folder, mean=MEAN)
    model.build()
    small.set_weights(model.gen_core, scale)
    return model


def _ops(model, prior, rewards, **options):
    options = {"num_samples": 512, "length": 2, "strength": 1.0, "discount": 1.0,
               "likelihood": 0.0, "learning_rate": lambda step: 0.02, "clip_gradient_norm": 0.0,
               **options}
    return policy.TuneOps(model.gen_core, prior.gen_core, bounds.ELBO(), rewards=rewards,
                          seed=seeds.make(3), **options)


def test_advantages_are_returns_minus_the_mean_of_the_others():
    rewards = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    to_go = np.array([[3.0, 4.0, 4.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    actual = policy.advantages(rewards, 0.5)
    for row in range(3):  # less the mean over the two others
        others = np.delete(to_go, row, axis=0).mean(axis=0)
        np.testing.assert_allclose(actual[row], to_go[row] - others)


@pytest.mark.parametrize("overrides", ["decoder=masked", "vae_type=SRNN,decoder=bernoulli"])
def test_the_density_equals_the_one_of_generation(overrides, tmp_path):
    made = _model(tmp_path, TINY.parse(overrides)).gen_core
    drawn, _ = made.generate(5, made.initial_state(3), seed=seeds.make(1))
    density = policy.log_density(made, drawn.observed, drawn.latents)
    small.close(density, drawn.log_prob + drawn.latent_log_prob)


@pytest.mark.oracle
def test_the_optimum_is_the_prior_times_the_exponential_of_the_reward(tmp_path):
    model, prior = _model(tmp_path), _model(tmp_path)
    # Frames of two notes, pieces of two frames: 16 of them, so all can be weighed.
    pieces = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(-1, 2, 2)

    def rewards(observed):
        """1.5 for a first frame with one note, and 2 for another frame after it."""
        first = 1.5 * (observed[:, 0].sum(axis=1) == 1)
        second = 2.0 * (observed[:, 0] != observed[:, 1]).any(axis=1)
        return np.stack([first, second], axis=1)

    def probabilities(made):
        density = policy.log_density(made.gen_core, tf.constant(pieces), tf.zeros([16, 2, 0]))
        return np.exp(density.numpy().sum(axis=1))

    before = probabilities(prior)
    wanted = before * np.exp(0.8 * rewards(pieces).sum(axis=1))
    wanted /= wanted.sum()
    ops = _ops(model, prior, rewards, strength=0.8)
    for _ in range(150):
        ops(SILENCE)
    actual = probabilities(model)
    np.testing.assert_allclose([before.sum(), actual.sum()], 1, atol=1e-4)
    assert np.abs(before - wanted).sum() / 2 > 0.2
    # A part of the way is left after so many updates.
    assert np.abs(actual - wanted).sum() / 2 < 0.12
    np.testing.assert_array_equal(probabilities(prior), before)


def test_the_likelihood_holds_the_model_to_the_music(tmp_path):
    """Without a reward, the optimum for data of one piece only is near it; KL pulls back."""
    model, prior = _model(tmp_path), _model(tmp_path)
    ops = _ops(model, prior, lambda observed: np.zeros(observed.shape[:2]), num_samples=16,
               likelihood=5.0)
    steps = [ops(SILENCE) for _ in range(40)]
    assert steps[-1].nats_per_step < 0.5 * steps[0].nats_per_step
    assert abs(steps[0].kl) < 1e-5 < steps[-1].kl


def test_a_gradient_that_is_not_finite_changes_no_weight(tmp_path):
    model, prior = _model(tmp_path), _model(tmp_path)
    ops = _ops(model, prior, lambda observed: 1e38 * observed.sum(axis=2, dtype=np.float64),
               num_samples=4, strength=10.0)
    weights = [variable.numpy() for variable in model.gen_core.trainable_variables]
    with pytest.raises(NumericsError, match=r"step 0: .* smaller --learning-rate or --strength"):
        ops(SILENCE)
    for weight, variable in zip(weights, model.gen_core.trainable_variables):
        np.testing.assert_array_equal(variable.numpy(), weight)
    assert int(ops.step) == 0


TUNE = ["--bars", 2, "--batch-size", 4, "--report-samples", 6, "--save-every", 2,
        "--learning-rate", 0.1]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A run with initial weights and a checkpoint."""
    folder = tmp_path_factory.mktemp("start")
    rng = np.random.default_rng(0)
    pieces = [(rng.random([12, 88]) < 0.04).astype(np.uint8) for _ in range(4)]
    for piece in pieces:
        piece[:, 39] = 1  # middle C
    archives.save(folder / "music.npz", {"train": pieces})
    hparams = TINY.parse("vae_type=ISEQ,decoder=bernoulli")
    music = sources.read(
        [f"{folder / 'music.npz'}:train"], [], 0.25, hparams.frames, lambda line: None)
    model = MidiModel(hparams, folder / "log", mean=MEAN, trained_on=music.description)
    model.build()
    (folder / "log").mkdir()
    model.save_files()
    model.log_dir.create(model.hparams, 0)
    Checkpoints(model.log_dir.checkpoints).save(7, {"gen_core": model.gen_core})
    return folder / "log"


def _weights(log_dir):
    return [variable.numpy() for variable in MidiModel.load(log_dir).gen_core.trainable_variables]


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(start, midi, tmp_path):
    begin = ["tune", "--from", start, *TUNE, "--json"]
    whole = midi(*begin, "--log-dir", tmp_path / "whole", "--num-steps", 3)
    assert whole.status == 0
    report = json.loads(whole.out)
    assert report["step"] == 3 and report["samples"] == 6
    for measured in (report["before"], report["after"]):
        shares = list(measured["rules"].values())
        assert len(shares) == 7 and measured["rules_kept"] == pytest.approx(np.mean(shares))
        # In samples of 2 bars each rule applies somewhere: the reward is the sum of the shares.
        assert measured["reward"] == pytest.approx(7 * measured["rules_kept"])
        assert 0 < measured["nats_per_step"] < 10
    assert json.loads((tmp_path / "whole" / "report.json").read_text()) == report

    parts = tmp_path / "parts"
    stopped = midi(*begin, "--log-dir", parts, "--num-steps", 3, "--max-minutes", 1e-9)
    assert stopped.status == 0 and json.loads(stopped.out)["step"] == 1
    again = midi("tune", "--log-dir", parts, "--num-steps", 3, "--save-every", 2)
    assert again.status == 0 and "step 1: resuming" in again.err
    assert "6 samples of 2 bars" in again.out and "held-out nats per frame" in again.out
    for one, other in zip(_weights(parts), _weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(one, other)
    moved = [np.abs(one - other).max() for one, other in zip(_weights(parts), _weights(start))]
    assert max(moved) > 1e-4
    assert json.loads((parts / "report.json").read_text()) == report
    lines = [json.loads(line) for line in (parts / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3]
    assert {"reward", "kl", "valid_nats_per_step"} <= set(lines[0])

    score = json.loads(midi("evaluate", "--log-dir", parts, "--json").out)
    assert score["nats_per_step"] == pytest.approx(report["after"]["nats_per_step"], rel=1e-5)


def test_tune_refuses_contradictory_options(start, midi, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_reward.py").write_text("def f(roll): raise OSError('no')\n")
    tuned, empty = tmp_path / "tuned", tmp_path / "empty"
    # The files of a run with a user's reward, before its first checkpoint.
    shutil.copytree(start, tuned, ignore=shutil.ignore_patterns("checkpoints"))
    (tuned / "tuning.json").write_text(json.dumps({"start": str(start), "reward": "my_reward:f"}))
    shutil.copytree(start, empty, ignore=shutil.ignore_patterns("checkpoints"))
    new = ["tune", "--log-dir", tmp_path / "new"]
    cases = [
        (new, "--from: expected the log directory of the model to tune; got none"),
        ([*new, "--from", tmp_path], "expected the log directory of a vaeseq-midi run"),
        ([*new, "--from", tmp_path / "no"], "no such directory"),
        ([*new, "--from", empty], "--from: expected a checkpoint in"),
        ([*new, "--from", start, "--reward", "rules"], "'counterpoint' or MODULE:FUNCTION"),
        ([*new, "--from", start, "--reward", "my_reward:f", *TUNE],
         "the reward failed with OSError: no (--debug shows where)"),
        ([*new, "--from", start, "--batch-size", 1], "at least 2"),
        ([*new, "--from", start, "--strength", "nan"], "expected a finite number"),
        (["tune", "--log-dir", start], "holds a run that was not begun by tune"),
        (["tune", "--log-dir", tuned], "tuned with the reward 'my_reward:f'. Give it again"),
        (["tune", "--log-dir", tuned, "--strength", 3], "--strength: "),
        (["tune", "--log-dir", tuned, "--from", empty], "--from: "),
        (["train", "--log-dir", tuned], "holds a tuned model. Resume with `vaeseq-midi tune`"),
    ]
    for words, message in cases:
        assert_one_line(midi(*words), program, message)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"start": 1, "reward": ""}',
                                  '{"start": "a", "reward": "b", "strength": "high"}',
                                  '{"start": "a", "reward": "b", "more": 1}'])
def test_a_damaged_tuning_file_is_refused(text, start, midi, tmp_path):
    shutil.copytree(start, tmp_path / "log")
    (tmp_path / "log" / "tuning.json").write_text(text)
    ended = midi("tune", "--log-dir", tmp_path / "log")
    assert ended.status == 2 and "tuning.json" in ended.err and "damaged" in ended.err
