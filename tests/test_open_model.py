# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Models that a researcher writes: a core of one's own, loading, what a run is compared with."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq.codec import decoders, encoders
from vaeseq.model import Model

HPARAMS = small.HPARAMS.replace(learning_rate=0.01)
SEQUENCES = [np.sin(np.arange(12.0, dtype=np.float32) + phase)[:, None] for phase in range(4)]


class Mine(Model):
    observation_spec = tf.TensorSpec([1], tf.float32)
    activation = "relu"

    def make_encoder(self):
        return encoders.MLPEncoder(self.observation_spec, (3,), activation=self.activation)

    def make_decoder(self):
        return decoders.Normal(self.observation_spec, hidden_sizes=(4,),
                               activation=self.activation)

    def make_core(self, encoder, decoder):
        return small.RandomWalk(decoder, encoder, 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run that is only read, and what its model gives."""
    log_dir = tmp_path_factory.mktemp("mine") / "log"
    model = Mine(HPARAMS, log_dir, seed=3)
    model.train(SEQUENCES, num_steps=3)
    return log_dir, model.generate(length=5, seed=1), model.evaluate(SEQUENCES)


def test_a_core_of_ones_own_trains_scores_and_samples(run):
    _, samples, score = run
    assert samples[0].shape == (5, 1)
    assert np.isfinite(score.nats_per_step) and score.bound == "elbo"


def test_everything_is_in_the_log_directory(run):
    log_dir, samples, score = run
    model = Mine.load(log_dir)
    assert model.hparams == HPARAMS and model.step == 3
    small.same(model.generate(length=5, seed=1), samples)
    assert model.evaluate(SEQUENCES).nats == score.nats
    small.same(Mine(HPARAMS, log_dir, seed=3).generate(length=5, seed=1), samples)


def test_what_only_evaluation_reads_may_differ(run):
    log_dir, *_ = run
    other = Mine(HPARAMS.replace(log_prob_samples=7), log_dir, seed=3)
    assert other.evaluate(SEQUENCES).num_samples == 7
    assert Mine.load(log_dir, log_prob_samples=6).evaluate(SEQUENCES).num_samples == 6
    with pytest.raises(ValueError, match="holds a run with latent_size=2, but latent_size=5"):
        Mine(HPARAMS.replace(latent_size=5), log_dir, seed=3)


@pytest.mark.parametrize("change,message", [
    ({"activation": "tanh"}, "encoder.activation: the run has 'relu', this model 'tanh'"),
    ({"make_decoder": lambda self: decoders.Beta(self.observation_spec)},
     r"core.decoder: the run has 'Normal', this model 'Beta'"),
    ({"make_core": lambda self, encoder, decoder: small.RandomWalk(decoder, encoder, 5)},
     r"core.hidden_size: the run has 4, this model 5"),
])
def test_a_model_of_other_parts_is_refused_by_name(run, change, message):
    log_dir, *_ = run
    with pytest.raises(ValueError, match=f"holds a run of another model. .*{message}"):
        type("Other", (Mine,), change).load(log_dir)


def test_a_run_without_a_description_is_taken_as_it_is(run, tmp_path):
    log_dir, samples, _ = run
    for path in ("hparams.json", "run.json"):
        (tmp_path / path).write_text((log_dir / path).read_text("utf-8"), "utf-8")
    (tmp_path / "checkpoints").symlink_to(log_dir / "checkpoints")
    small.same(Mine.load(tmp_path).generate(length=5, seed=1), samples)


def test_a_damaged_description_is_one_line(run, tmp_path):
    log_dir, *_ = run
    for path in ("hparams.json", "run.json"):
        (tmp_path / path).write_text((log_dir / path).read_text("utf-8"), "utf-8")
    (tmp_path / "model.json").write_text("{", "utf-8")
    with pytest.raises(ValueError, match="model.json.*expected a JSON object"):
        Mine.load(tmp_path)


def test_loading_needs_a_run_that_was_trained(tmp_path):
    with pytest.raises(ValueError, match="found no run.json there. Train first"):
        Mine.load(tmp_path)
    Mine(HPARAMS, tmp_path).log_dir.create(HPARAMS, 0)
    with pytest.raises(ValueError, match="expected a checkpoint, found none. Train first"):
        Mine.load(tmp_path)


def test_the_description_is_readable(run):
    log_dir, *_ = run
    parts = json.loads((log_dir / "model.json").read_text("utf-8"))
    assert parts["core"]["class"] == "RandomWalk"
    assert parts["core"]["decoder"]["hidden_sizes"] == [4]
    assert parts["agent"]["class"] == "EncodeObserved"


class Letters(Model):
    observation_spec = tf.TensorSpec([], tf.int32)

    def make_encoder(self):
        return encoders.Embed(small.NUM_SYMBOLS, 3)

    def make_decoder(self):
        return decoders.Categorical(small.NUM_SYMBOLS)


def test_the_most_likely_sequence_is_found_and_drawn_by_top_1(tmp_path):
    model = Letters(small.HPARAMS.replace(vae_type="RNN", learning_rate=0.05), tmp_path)
    model.train([np.tile(np.arange(4), 6)] * 4, num_steps=60)
    best = model.most_likely(length=6, beam_size=4, prime=np.array([2, 3]))[0]
    np.testing.assert_array_equal(best.symbols, [0, 1, 2, 3, 0, 1])
    assert best.log_prob > -1
    traced = model._beam_search._compiled.experimental_get_tracing_count()
    model.most_likely(length=6, beam_size=4)
    assert model._beam_search._compiled.experimental_get_tracing_count() == traced
    (sample,) = model.generate(length=6, prime=np.array([2, 3]), top_k=1)
    np.testing.assert_array_equal(sample, best.symbols)
    for generate in (model.generate, model.most_likely):
        with pytest.raises(ValueError, match="classes that the encoder has, got 99"):
            generate(length=2, prime=np.array([2, 99]))


def test_a_summary_counts_every_weight_once(run):
    model = Mine.load(run[0])
    text = model.summary()
    parts = [int(line.split(":")[1].split()[0].replace(",", "")) for line in text.splitlines()
             if line.endswith(" weights")]
    assert len(parts) == 3
    assert sum(parts) == sum(
        v.shape.num_elements() for v in model.gen_core.trainable_variables)
    assert "core, RandomWalk" in text and "decoder, Normal" in text
    assert "a step of 3 x 5: about" in text and "memory: about" in text
