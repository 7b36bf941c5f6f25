# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A whole model of a real-valued sequence: trained, stopped, resumed, scored, sampled."""

import copy
import itertools
import json
import pickle
import shutil
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tests import small
from vaeseq import agent, data, seeds
from vaeseq.codec import decoders, encoders
from vaeseq.evaluate import validation
from vaeseq.model import Model
from vaeseq.train.trainer import Periods

pytestmark = pytest.mark.contract

PERIODS = Periods(log=2, valid=4)


class Waves(Model):
    observation_spec = tf.TensorSpec([1], tf.float32)

    def make_encoder(self):
        return encoders.MLPEncoder(self.observation_spec, (3,))

    def make_decoder(self):
        return decoders.Normal(self.observation_spec)


def test_a_decoder_of_other_observations_is_refused(tmp_path):
    class Two(Waves):
        def make_decoder(self):
            return decoders.Normal(tf.TensorSpec([2], tf.float32))

    with pytest.raises(ValueError, match=r"Two.make_decoder: expected .*\(1,\).*got one .*\(2,\)"):
        Two(small.HPARAMS, tmp_path / "log")


class Short(Waves):
    """Ends at an observation under -1e9, which a prime may hold."""

    def make_agent(self, encoder):
        class Stops(agent.EncodeObserved):
            def finished(self, state):
                return state.observed_mask[:, -1] & (state.observations[:, -1, 0] < -1e9)
        return Stops(encoder, self.observation_spec)


def waves(number, steps=24):
    phase = 2.0 * np.arange(number)[:, None]
    return list(np.sin(phase + 0.5 * np.arange(steps))[..., None].astype(np.float32))


HPARAMS = small.HPARAMS.replace(vae_type="SRNN", learning_rate=0.01, num_shards=1)


def stop_after(steps):
    calls = iter(range(1, 1000))
    return lambda: next(calls) >= steps


def train(log_dir, num_steps=6, kind=Waves, hparams=HPARAMS, seed=0, **options):
    model = kind(hparams, log_dir, seed=seed)
    trained = model.train(waves(4), num_steps=num_steps, valid=waves(2), periods=PERIODS,
                          **options)
    return model, trained


def metrics(log_dir):
    """The lines of metrics.jsonl, without what the clock says."""
    lines = (log_dir / "metrics.jsonl").read_text("utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items()
             if not name.endswith("per_second")} for line in lines]


@pytest.mark.parametrize("bound", ["elbo", "fivo"])
def test_validates_by_the_bound_that_is_trained(bound, tmp_path):
    hparams = HPARAMS.replace(train_bound=bound, train_samples=3)
    model, _ = train(tmp_path / "waves", num_steps=4, hparams=hparams)
    score = model.evaluator(bound, 3).score(
        model.validation_batches(waves(2)), seed=seeds.make(0))
    assert metrics(tmp_path / "waves")[-1]["valid_nats_per_step"] == pytest.approx(
        score.nats_per_step, rel=1e-6)


def weights(model):
    return [variable.numpy() for variable in model.gen_core.trainable_variables]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of six steps that nothing interrupted."""
    log_dir = tmp_path_factory.mktemp("run") / "waves"
    return *train(log_dir), log_dir


def test_a_run(run):
    model, trained, log_dir = run
    assert (trained.step, trained.stop_reason) == (6, "done")
    assert 0 < trained.first_step_seconds < 100
    lines = metrics(log_dir)
    assert [line["step"] for line in lines] == [2, 4, 6]
    assert trained.best == pytest.approx(
        min(line["valid_nats_per_step"] for line in lines if "valid_nats_per_step" in line))
    assert "valid_nats_per_step" not in lines[0]
    for line in lines:
        assert all(np.isfinite(value) for value in line.values())
    assert list((log_dir / "events").iterdir())


def test_resumed_equals_uninterrupted_bit_for_bit(run, tmp_path):
    """Stopped between two reports and begun again by another object."""
    model, _, log_dir = run
    _, trained = train(tmp_path / "waves", should_stop=stop_after(3))
    assert (trained.step, trained.stop_reason) == (3, "stopped")
    resumed, trained = train(tmp_path / "waves")
    assert (trained.step, trained.stop_reason) == (6, "done")
    assert resumed.restore(best=False) == model.restore(best=False) == 6
    small.same(weights(resumed), weights(model))
    assert metrics(tmp_path / "waves") == metrics(log_dir)


def test_weights_that_an_interrupted_session_left_are_not_the_first(tmp_path):
    def fail(*_):
        raise KeyboardInterrupt

    model = Waves(HPARAMS, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.train(waves(4), num_steps=4, should_stop=fail)
    with pytest.raises(ValueError, match="expected the first weights.*Make the model again"):
        model.train(waves(4), num_steps=4)
    again = Waves(HPARAMS, tmp_path)
    again.train(waves(4), num_steps=1)
    model.train(waves(4), num_steps=2)  # resumes from the checkpoint


def test_the_seed_decides_the_weights(tmp_path):
    models = []
    for seed in (1, 1, 2):
        model = Waves(HPARAMS, tmp_path / "none", seed=seed)
        model.build()
        models.append(weights(model))
    small.same(models[0], models[1])
    assert any(np.any(one != other) for one, other in zip(models[0], models[2]))
    assert not (tmp_path / "none").exists()


def test_a_new_run_begins_with_no_weights_of_an_earlier_one(tmp_path):
    hparams = HPARAMS.replace(vae_type="RNN")
    model = Waves(hparams, tmp_path / "run")
    model.evaluate(waves(1))
    model.train(waves(4), num_steps=0)
    model.train(waves(4), num_steps=1)
    first = weights(model)
    loaded = Waves.load(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    for trained in (model, loaded, model):
        with pytest.raises(ValueError, match="expected the first weights.*Make the model again"):
            trained.train(waves(4), num_steps=1)
        small.same(weights(trained), first)
    again = Waves(hparams, tmp_path / "run")
    again.train(waves(4), num_steps=1)
    small.same(weights(again), first)


def test_an_exception_in_training_leaves_the_saved_weights_for_scores(tmp_path):
    calls = itertools.count(1)

    def fail():
        if next(calls) > 6:
            raise KeyboardInterrupt
        return False

    hparams = HPARAMS.replace(vae_type="RNN")
    model = Waves(hparams, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.train(waves(4), num_steps=9, valid=waves(2), periods=PERIODS, should_stop=fail)
    score = model.evaluate(waves(2))
    assert model.step == 4
    assert score.nats == Waves.load(tmp_path).evaluate(waves(2)).nats


@pytest.mark.parametrize("options, message", [
    ({"periods": Periods(valid=0)}, "at least 1 step, got log=50 and valid=0. For no validation"),
    ({"periods": Periods(log=0)}, "at least 1 step, got log=0 and valid=500"),
    ({"patience": 2}, "held-out sequences, valid, .*patience=2; got none")])
def test_periods_and_patience_that_cannot_be_are_refused_before_a_run_is_made(
        options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Waves(HPARAMS, tmp_path / "new").train(waves(4), num_steps=1, **options)
    assert not (tmp_path / "new").exists()


def test_patience_among_the_hyperparameters_without_validation_is_one_line(tmp_path, capsys):
    model = Waves(HPARAMS.replace(vae_type="RNN", patience=2), tmp_path)
    model.train(waves(4), num_steps=1)
    assert "patience has no effect: there are no held-out" in capsys.readouterr().err
    model.train(waves(4), num_steps=2, patience=0)
    model.train(waves(4), num_steps=3, valid=waves(1))
    assert "patience" not in capsys.readouterr().err


@pytest.mark.parametrize("seed", [np.int64(5), seeds.make(5)])
def test_a_run_has_the_number_of_a_seed(seed, tmp_path):
    train(tmp_path / "run", num_steps=1, hparams=HPARAMS.replace(vae_type="RNN"), seed=seed)
    assert Waves.load(tmp_path / "run").log_dir.seed() == 5


@pytest.mark.parametrize("wrong, words", [
    (np.zeros([4, 3]), r"of shape \[1\] at each step, got \[3\]"),
    (np.zeros([4]), r"of shape \[1\] at each step, got \[\]"),
    ({"a": np.zeros([4, 1])}, "of the structure .*, got {'a'")])
def test_observations_of_another_shape_are_refused_before_a_run_is_made(
        run, wrong, words, tmp_path):
    for use in (lambda: Waves(HPARAMS, tmp_path / "new").train([wrong], num_steps=1),
                lambda: Waves(HPARAMS, tmp_path / "new").train(
                    waves(4), num_steps=1, valid=[wrong]),
                lambda: run[0].evaluate([wrong]),
                lambda: run[0].generate(length=1, prime=wrong)):
        with pytest.raises(ValueError, match=words):
            use()
    assert not (tmp_path / "new").exists()


class Driven(Waves):
    """Reads external inputs."""

    input_spec = tf.TensorSpec([2], tf.float32)

    def make_agent(self, encoder):
        return agent.ExternalInputs(encoders.Flatten(self.input_spec))


def test_validation_without_the_inputs_of_training_is_refused_before_a_run_is_made(tmp_path):
    batch = data.pad(waves(2), 24)._replace(inputs=np.zeros([2, 24, 2], np.float32))
    batches = tf.data.Dataset.from_tensors(batch).repeat()
    with pytest.raises(ValueError, match="valid: expected batches with inputs.*validation_batches"):
        Driven(HPARAMS, tmp_path / "new").train(batches, num_steps=1, valid=waves(1))
    assert not (tmp_path / "new").exists()


def test_an_agent_of_inputs_without_input_spec_is_an_error_that_names_it(tmp_path):
    class NoSpec(Driven):
        input_spec = ()

        def make_agent(self, encoder):
            return agent.ExternalInputs(encoders.Flatten(Driven.input_spec))

    with pytest.raises(ValueError, match="got none.* Set the model's input_spec"):
        NoSpec(HPARAMS, tmp_path / "new").build()


def test_time_ends_a_run_in_good_order(tmp_path):
    hparams = HPARAMS.replace(vae_type="RNN")
    _, trained = train(tmp_path, hparams=hparams, max_minutes=1e-9)
    assert (trained.step, trained.stop_reason) == (1, "time")
    assert Waves(hparams, tmp_path).restore() == 1


def test_a_new_object_scores_and_samples_what_was_trained(run):
    """Without being told to restore anything."""
    model, _, log_dir = run
    best = Waves(HPARAMS, log_dir)
    assert best.restore(best=True) in (4, 6)
    fresh = Waves(HPARAMS, log_dir)
    score = fresh.evaluate(waves(3), seed=1)
    small.same(weights(fresh), weights(best))
    assert score.nats == best.evaluate(waves(3), seed=1).nats
    assert (score.steps, score.bound, score.num_samples) == (72, "elbo", 4)
    assert Waves(HPARAMS, log_dir).restore(best=False) == 6


def test_a_model_is_used_with_its_best_weights_after_training(monkeypatch, tmp_path):
    """The first of two validations is made the better one."""
    scores = iter([2.0, 1.0])
    monkeypatch.setattr(validation, "interruptible_score",
                        lambda evaluator, batches, *_, **__: evaluator.score(
                            batches, seed=0)._replace(nats=next(scores)))
    model, trained = train(tmp_path / "run", num_steps=8)
    loaded = Waves.load(tmp_path / "run")
    assert loaded.restore() == model.step == 4 and trained.step == 8
    small.same(weights(model), weights(loaded))
    loaded.restore(best=False)
    assert any(np.any(one != other) for one, other in zip(weights(model), weights(loaded)))


def test_other_validation_data_or_none_after_a_best_step_are_one_line(tmp_path, capsys):
    def go_on(num_steps, valid):
        trained = model.train(waves(4), num_steps=num_steps, valid=valid, periods=PERIODS)
        return trained.best, capsys.readouterr().err

    model = Waves(HPARAMS.replace(vae_type="RNN"), tmp_path)
    worse = [1e3 * wave for wave in waves(2)]
    best, first = go_on(1, waves(2))
    again, second = go_on(2, waves(2))
    none, third = go_on(3, ())
    other, fourth = go_on(4, worse)
    assert best >= again == none and other > 10 * best
    assert "Scores and samples use step" in third
    assert "other held-out data" in fourth and model.step == 4
    assert not any(words in log for log in (first, second)
                   for words in ("Scores and samples", "other held-out data"))


def test_validation_may_take_some_batches_only(tmp_path):
    class First(Waves):
        def validation_batches(self, sequences):
            return itertools.islice(super().validation_batches(sequences), 1)

    model = First(HPARAMS.replace(batch_size=1), tmp_path)
    trained = model.train(waves(4), num_steps=2, valid=waves(2), periods=Periods(valid=1))
    assert np.isfinite(trained.best)
    assert [line["step"] for line in metrics(tmp_path) if "valid_nats_per_step" in line] == [1, 2]


def test_validation_on_nothing_is_refused_before_a_run_is_made(tmp_path):
    with pytest.raises(ValueError, match="valid: expected sequences of at least one step"):
        Waves(HPARAMS, tmp_path / "new").train(waves(4), num_steps=1, valid=[np.zeros([0, 1])])
    assert not (tmp_path / "new").exists()


def test_another_bound(run):
    score = run[0].evaluate(waves(3, 5), bound="fivo", num_samples=2, batch_size=2, window=3)
    assert (score.bound, score.num_samples, score.steps) == ("fivo", 2, 15)
    assert np.isfinite(score.nats)


def test_samples(run):
    model = run[0]
    one, other, third = (
        model.sampler.generate(num_samples=2, length=5, seed=seed, chunk=4)
        for seed in (1, 1, 2))
    assert [sample.shape for sample in one] == [(5, 1), (5, 1)]
    small.same(one, other)
    assert np.any(one[0] != third[0])
    assert np.any(one[0] != one[1])
    primed = model.sampler.generate(num_samples=2, length=5, seed=1, chunk=4,
                                    prime=waves(1)[0].astype(np.float64))
    assert np.all(np.isfinite(primed))
    assert np.any(primed[0] != one[0])
    small.same(model.sampler.generate(num_samples=2, length=5, seed=1, chunk=4,
                                      prime=np.zeros([0, 1])), one)
    small.close(model.generate(num_samples=2, length=5, seed=1), one)


def test_samples_are_made_without_the_contexts_of_earlier_steps(run, monkeypatch):
    sampler, contexts = run[0].sampler, []
    stream = sampler.stream

    def watched(**arguments):
        for generated in stream(**arguments):
            contexts.append(weakref.ref(generated.contexts))
            yield generated
            del generated
            assert not any(chunk() is not None for chunk in contexts[:-1])

    monkeypatch.setattr(sampler, "stream", watched)
    samples = sampler.generate(num_samples=2, length=10, chunk=4)
    assert [len(sample) for sample in samples] == [10, 10] and len(contexts) == 3


def test_a_prime_that_ends_the_sequence_leaves_nothing_to_sample(tmp_path):
    model = Short(small.HPARAMS, tmp_path)
    samples = model.generate(num_samples=2, length=3, prime=np.full([2, 1], -2e9))
    assert [sample.shape for sample in samples] == [(0, 1), (0, 1)]


@pytest.mark.parametrize(("options", "message"), [
    ({"length": 0}, "num_samples=1, length=0"),
    ({"length": -3}, "length=-3"),
    ({"length": 1, "num_samples": 0}, "num_samples=0"),
    ({"length": 1, "temperature": 0.0}, "temperature above 0, got 0.0"),
    ({"length": 1, "prime": [[0.5]]}, "expected NumPy arrays of numbers, got float"),
])
def test_samples_that_cannot_be(run, options, message):
    with pytest.raises(ValueError, match=message):
        run[0].generate(**options)


def test_scores_that_cannot_be(run):
    with pytest.raises(ValueError, match="at least one sequence to score, got none"):
        run[0].evaluate([])
    with pytest.raises(ValueError, match="sequence 1: expected NumPy arrays of numbers, got float"):
        run[0].evaluate([waves(1)[0], [0.5, 1.0]])
    with pytest.raises(ValueError, match="bound among elbo, iwae, fivo, got 'exact'"):
        run[0].evaluate(waves(1), bound="exact")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        run[0].evaluate(waves(1), num_samples=0)


class Other(Waves):
    program = "another"


@pytest.mark.parametrize(("kind", "hparams", "seed", "message"), [
    (Waves, HPARAMS.replace(latent_size=3), 0, "latent_size=2, but latent_size=3 was given"),
    (Waves, HPARAMS, 5, "with seed 0, but seed 5 was given"),
    (Other, HPARAMS, 0, "of a another run, found one of 'vaeseq'"),
])
def test_what_contradicts_the_run_is_refused(run, kind, hparams, seed, message):
    with pytest.raises(ValueError, match=message):
        kind(hparams, run[2], seed=seed)


@pytest.mark.parametrize(("name", "content"), [
    ("run.json", "{"), ("run.json", "[]"), ("run.json", '{"program": "vaeseq"}'),
    ("hparams.json", "{"), ("hparams.json", "")])
def test_a_damaged_directory(run, tmp_path, name, content):
    for file in ("run.json", "hparams.json"):
        (tmp_path / file).write_bytes((run[2] / file).read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=name):
        Waves(HPARAMS, tmp_path)


def test_a_directory_without_checkpoints(tmp_path):
    with pytest.raises(ValueError, match="expected a checkpoint, found none. Train first"):
        Waves(HPARAMS, tmp_path).restore()


def test_a_locked_directory(run):
    model, _, log_dir = run
    before = metrics(log_dir)
    with model.log_dir.locked(), pytest.raises(ValueError, match="another run is training there"):
        train(log_dir, num_steps=8)
    assert metrics(log_dir) == before


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_model_is_not_copied(duplicate, tmp_path):
    with pytest.raises(TypeError, match=r"cannot be copied or pickled.*Waves.load\(log_dir\)"):
        duplicate(Waves(HPARAMS, tmp_path))


def test_too_little_to_train_on(tmp_path):
    model = Waves(HPARAMS, tmp_path / "none")
    with pytest.raises(ValueError, match="got 0 sequences"):
        model.train([], num_steps=1)
    assert not (tmp_path / "none").exists(), "nothing is begun that cannot go on"


@pytest.mark.parametrize("changes, message", [
    ({"train_bound": "mmd"}, "expected vae_type=SEQAE, got SRNN"),
    ({"train_bound": "jumpy"}, "expected vae_type=TDVAE"),
    ({"vae_type": "GAUSSDIFF", "train_bound": "iwae"}, "generates step by step"),
    ({"vae_type": "SEQAE", "seqae_posterior": "deterministic"}, "'elbo' needs the density")])
def test_an_objective_that_the_model_lacks_leaves_no_directory(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(tmp_path / "none", hparams=HPARAMS.replace(**changes))
    assert not (tmp_path / "none").exists()


def test_points_are_scored_by_their_reconstruction(tmp_path):
    """There is no bound, so `evaluate` without one takes what training reports."""
    model, _ = train(tmp_path / "points", num_steps=1, hparams=HPARAMS.replace(
        vae_type="SEQAE", seqae_posterior="deterministic", train_bound="reconstruction"))
    score = model.evaluate(waves(2))
    assert (score.bound, score.kl, score.is_collapsed) == ("reconstruction", 0, False)
    with pytest.raises(ValueError, match="'elbo' needs the density of the posterior"):
        model.evaluate(waves(2), bound="elbo")


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        train(tmp_path / "file" / "below")
