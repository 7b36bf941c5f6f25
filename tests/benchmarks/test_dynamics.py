# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The tables of dynamical VAEs: their data, their exact references, and what is printed."""

import argparse
import functools
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats
from tensorflow_probability import distributions as tfd

from benchmarks.quality import dynamics, polyphonic
from benchmarks.quality.dynamics_tables import (
    balls,
    box,
    chorales,
    linear_gaussian,
    lorenz,
    memory,
    oscillator,
    pendulum,
    recovery,
    strokes,
    table,
)
from examples.midi.data import archives
from examples.midi.hparams import MidiHParams
from tests import small
from tests.in_process import runner
from vaeseq.hparams import HParams
from vaeseq.runs.log_dir import LogDir
from vaeseq.train.trainer import TrainResult


@pytest.mark.parametrize("name", dynamics.NAMES)
def test_the_hyperparameters_of_every_model_can_be_read(name):
    table = dynamics.load(name)
    for overrides in filter(None, table.models.values()):
        (MidiHParams if table.checksum else HParams)().parse(overrides)


def test_a_table_has_medians_or_means_over_seeds_and_says_what_was_not_run(tmp_path):
    def save(model, *errors):
        for seed, error in enumerate(errors):
            row = {"model": model, "seed": seed, "error": error, "train_seconds": 90}
            (tmp_path / f"{model}-{seed}.json").write_text(json.dumps(row))

    save("raw", 1.0, 4.0, 3.0)
    save("ekf", 1.0, 2.0, 3.0, 10.0)
    save("ekf-euler", 7.0, 7.0, 7.0)
    lines = dynamics.markdown("lorenz", tmp_path).splitlines()
    assert "| raw | 3 (1, 4, 3) | 3, 1.5 min |" in lines
    assert "| ekf | 4 ± 2 | 4, 1.5 min |" in lines
    assert "| ekf-euler | 7 | 3, 1.5 min |" in lines
    assert "| dmm-elbo |  | not run |" in lines


def test_a_table_shows_where_runs_are_of_different_lengths(tmp_path):
    for seed, (updates, steps) in enumerate(((3000, 500), (850, 500))):
        (tmp_path / f"dmm-elbo-{seed}.json").write_text(json.dumps(
            {"model": "dmm-elbo", "seed": seed, "error": 1.0, "updates": updates}))
        (tmp_path / f"dmm-fivo-{seed}.json").write_text(json.dumps(
            {"model": "dmm-fivo", "seed": seed, "error": 1.0, "step": steps}))
    lines = dynamics.markdown("lorenz", tmp_path).splitlines()
    assert "| dmm-elbo | 1 | 2, 850 to 3000 updates |" in lines
    assert "| dmm-fivo | 1 | 2 |" in lines


@pytest.mark.parametrize("name", dynamics.NAMES)
def test_results_of_the_repository_are_those_of_its_recipes(name):
    table, options = dynamics.load(name), argparse.Namespace(updates=None)
    for path in (dynamics._RESULTS / name).glob("*.json"):
        dynamics._check(path, json.loads(path.read_text()), table, options)


def test_a_result_of_other_hyperparameters_or_updates_is_refused(tmp_path, capsys):
    table = dynamics.load("lorenz")
    row = {"model": "dmm-elbo", "seed": 0, "hparams": table.models["dmm-elbo"], "updates": 70,
           "command": "python -m benchmarks.quality.dynamics run lorenz --updates 90"}

    def run(*words, **changed):
        (tmp_path / "lorenz").mkdir(exist_ok=True)
        (tmp_path / "lorenz" / "dmm-elbo-0.json").write_text(json.dumps({**row, **changed}))
        return runner(dynamics.program, capsys)(
            "run", "lorenz", "--models", "dmm-elbo", "--seeds", "0", "--results", tmp_path, *words)

    assert run().status == 0
    assert run("--updates", "90").status == 0  # the time limit ended it after 70
    ended = run("--updates", "70")
    assert ended.status == 2 and "got one with other updates. Remove it" in ended.err
    ended = run(hparams=row["hparams"] + ",dropout=0.1")
    assert ended.status == 2 and "got one with other hparams. Remove it" in ended.err


# Results whose command has another number of updates than the model's default
OTHER_UPDATES = {
    ("chorales", "kvae", 0): 3000,  # a time limit ended it after about those of the other seeds
    ("lorenz", "dmm-fivo", 0): 1500,  # the other seeds have as many as by the ELBO
}


def test_default_updates_are_those_of_the_results_of_the_repository():
    others = {}
    for row in results():
        num_updates = option(row, "updates")
        if row["hparams"] is None:
            assert "updates" not in row and "step" not in row and num_updates is None
            continue
        default = dynamics.load(row["table"]).num_updates(row["model"])
        num_updates = num_updates or default
        if num_updates != default:
            others[row["table"], row["model"], row["seed"]] = num_updates
        steps = row["step"] if "step" in row else row["updates"]
        # The command has the limit that ended a run
        limit = option(row, "max-minutes") or dynamics._MAX_MINUTES
        assert steps == num_updates or (
            steps < num_updates and row["train_seconds"] >= 60 * limit), row
    assert others == OTHER_UPDATES


def test_results_of_the_repository_name_the_music_they_are_of():
    music = json.loads((polyphonic._RESULTS / "rnn-0.json").read_text())["music"]
    for row in results():
        has_data = dynamics.load(row["table"]).checksum is not None
        assert ("data" in row) == has_data
        if row["table"] in ("chorales", "weights"):
            assert row["data"] == music


def results():
    """Returns the results of the repository."""
    return [json.loads(path.read_text()) for path in sorted(dynamics._RESULTS.glob("*/*.json"))]


def option(row, name):
    """Returns the number of an option in the command of a result, or None."""
    match = re.search(rf"--{name} ([\d.]+)", row["command"])
    return match and float(match[1])


@pytest.fixture
def chorales_run(tmp_path, monkeypatch, capsys):
    """Runs two models of the table `chorales`, whose only figure is their number of updates."""
    monkeypatch.setattr(chorales, "TABLE", chorales.TABLE._replace(
        run=lambda name, settings: {"step": settings.updates}))

    def run(*words):
        archive = tmp_path / "music.npz"
        return runner(dynamics.program, capsys)(
            "run", "chorales", "--data", archive, "--models", "rnn,srnn", "--seeds", "0",
            "--results", tmp_path / "results", *words)

    return run


def save_music(path, pitch):
    roll = np.zeros([4, 88], np.uint8)
    roll[:, pitch] = 1
    archives.save(path, {split: [roll] for split in archives.SPLITS})


def test_a_result_of_other_data_or_of_unknown_data_is_refused(tmp_path, chorales_run):
    save_music(tmp_path / "music.npz", 40)
    assert chorales_run().status == 0 and chorales_run().status == 0
    path = tmp_path / "results" / "chorales" / "rnn-0.json"
    row = json.loads(path.read_text())
    save_music(tmp_path / "music.npz", 41)
    ended = chorales_run()
    assert ended.status == 2 and "got one with other data. Remove it" in ended.err
    save_music(tmp_path / "music.npz", 40)
    del row["data"]
    path.write_text(json.dumps(row))
    ended = chorales_run()
    assert ended.status == 2 and "got one with other data. Remove it" in ended.err


@pytest.mark.parametrize(("words", "updates"), [((), [1000, 3000]), (("--updates", "7"), [7, 7])])
def test_a_model_has_its_own_number_of_updates(tmp_path, chorales_run, words, updates):
    save_music(tmp_path / "music.npz", 40)
    assert chorales_run(*words).status == 0
    folder = tmp_path / "results" / "chorales"
    assert updates == [json.loads((folder / f"{model}-0.json").read_text())["step"]
                       for model in ("rnn", "srnn")]


def test_drawings_that_differ_have_other_checksums(tmp_path):
    arrays = {"train": np.arange(6).reshape(2, 3), "train_lengths": np.array([2])}
    np.savez(tmp_path / "one.npz", **arrays)
    np.savez_compressed(tmp_path / "same.npz", **dict(reversed(arrays.items())))
    np.savez(tmp_path / "other.npz", **{**arrays, "train": arrays["train"] + 1})
    one, same, other = (strokes.checksum(tmp_path / f"{name}.npz")
                        for name in ("one", "same", "other"))
    assert one == same != other


@pytest.mark.oracle
def test_the_linear_data_have_the_moments_of_their_model():
    z, x = linear_gaussian.draw(20_000, np.random.default_rng(0))
    variance = 1 + 10 * np.arange(25)
    np.testing.assert_allclose(z.mean(0)[:, 0], 0.05 * np.arange(25), atol=0.5)
    np.testing.assert_allclose(z.var(0)[:, 0], variance, rtol=0.05)
    np.testing.assert_allclose((x - 0.5 * z).var(), 20, rtol=0.02)


@pytest.mark.oracle
def test_the_data_follow_the_transition_that_is_learnt():
    """Given u and v of neighbouring steps, the observations regress on the transition's mean."""
    transition = recovery.LearntTransition()
    transition.alpha.assign(recovery.ALPHA)
    transition.beta.assign(recovery.BETA)
    z = 2 * recovery.draw(20_000, np.random.default_rng(0))  # with noise of variance 0.4
    mean = transition(tf.constant(z[:, :-1]), None).loc.numpy()
    residual = z[:, 1:] - mean
    assert np.all(np.abs(residual.mean((0, 1))) < 0.02)
    assert np.all(np.abs(residual.var((0, 1)) - 1.4) < 0.2)


@pytest.mark.oracle
def test_the_trajectory_solves_the_lorenz_equations():
    start = np.array([1.0, 1.0, 1.0])
    solution = integrate.solve_ivp(
        lambda _, s: [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]],
        (0, 0.5), start, rtol=1e-10, atol=1e-10)
    state = start
    for _ in range(10):
        state = lorenz.runge_kutta(state)
    np.testing.assert_allclose(state, solution.y[:, -1], rtol=1e-4)


@pytest.mark.oracle
def test_the_extended_filter_of_a_linear_system_is_the_kalman_filter():
    matrix = np.array([[0.9, 0.2, 0.0], [-0.2, 0.9, 0.1], [0.0, 0.0, 0.8]])
    x = np.random.default_rng(0).normal(size=[6, 3])
    actual = lorenz.extended_kalman_filter(lambda state: matrix @ state, x, 0.3)
    # Started from the first observation: p(state_1 | x_1) = N(x_1, 0.25 I) for a flat prior.
    model = tfd.LinearGaussianStateSpaceModel(
        5, tf.linalg.LinearOperatorFullMatrix(matrix),
        tfd.MultivariateNormalDiag(np.zeros(3), np.full(3, 0.3 ** 0.5)),
        tf.linalg.LinearOperatorIdentity(3, dtype=tf.float64),
        tfd.MultivariateNormalDiag(np.zeros(3), np.full(3, 0.5)),
        tfd.MultivariateNormalFullCovariance(
            matrix @ x[0], 0.25 * matrix @ matrix.T + 0.3 * np.eye(3)))
    np.testing.assert_allclose(actual[1:], model.forward_filter(x[1:])[1], atol=1e-6)


@pytest.mark.oracle
def test_the_exact_prediction_of_one_frequency_is_that_of_a_kalman_filter():
    x = oscillator.draw(2, np.random.default_rng(0))
    w = oscillator.LOWEST
    model = tfd.LinearGaussianStateSpaceModel(
        oscillator.STEPS, tf.linalg.LinearOperatorFullMatrix(
            np.array([[np.cos(w), -np.sin(w)], [np.sin(w), np.cos(w)]], np.float32)),
        tfd.MultivariateNormalDiag([0.0, 0.0], 2 * [oscillator.PROCESS_NOISE]),
        tf.linalg.LinearOperatorFullMatrix([[1.0, 0.0]]),
        tfd.MultivariateNormalDiag([0.0], [oscillator.NOISE]),
        tfd.MultivariateNormalDiag([0.0, 0.0], [1.0, 1.0]))
    log_prob = model.forward_filter(x)[0].numpy()
    actual = oscillator.exact(x[..., 0].astype(np.float64), num_frequencies=1)
    for t in oscillator.STARTS:
        np.testing.assert_allclose(actual[t, 1], log_prob[:, t], rtol=2e-3)


@pytest.mark.oracle
def test_the_exact_prediction_of_several_frequencies_is_that_of_joint_gaussians(monkeypatch):
    """A few observations leave each of the frequencies likely."""
    monkeypatch.setattr(oscillator, "STARTS", (3, 6))
    x = oscillator.draw(4, np.random.default_rng(0))[..., 0].astype(np.float64)
    actual = oscillator.exact(x, num_frequencies=3)
    times = np.arange(oscillator.STEPS)
    variance = 1 + np.minimum.outer(times, times) * oscillator.PROCESS_NOISE ** 2
    covariances = [np.cos(w * np.subtract.outer(times, times)) * variance
                   + oscillator.NOISE ** 2 * np.eye(oscillator.STEPS)
                   for w in np.linspace(oscillator.LOWEST, oscillator.HIGHEST, 3)]

    def log_density(steps):
        return np.logaddexp.reduce([
            stats.multivariate_normal.logpdf(x[:, steps], cov=covariance[np.ix_(steps, steps)])
            for covariance in covariances])

    for t in (3, 6):
        for d in (1, 20):
            expected = log_density([*range(t), t + d - 1]) - log_density([*range(t)])
            np.testing.assert_allclose(actual[t, d], expected, rtol=1e-8)


def small_oscillator(log_dir, vae_type):
    """Returns a model with fixed weights, whose outputs depend on all they read."""
    model = oscillator.Oscillator(HParams().parse(
        f"vae_type={vae_type},rnn_hidden_sizes=[4],latent_decoder_fc_layers=[4],latent_size=2,"
        "activation=tanh,num_shards=1"), log_dir)
    small.set_weights(model.gen_core)
    return model


def depends(function, num_steps):
    """Returns whether each result depends on each observation, `[observation, ...]`.

    `function` maps `[B, num_steps, 1]` to a nest of `[B, ...]`; a row has one observation changed.
    """
    x = np.random.default_rng(0).normal(size=[1, num_steps, 1]).astype(np.float32)
    x = np.repeat(x, num_steps, 0)
    changed = x + np.eye(num_steps, dtype=np.float32)[..., np.newaxis]
    return tf.nest.map_structure(lambda a, b: np.abs(a - b) > 1e-6, function(x), function(changed))


STEPS = 7
BEFORE = np.triu(np.ones([STEPS, STEPS], bool), 1)  # [observation, step]
UP_TO = np.triu(np.ones([STEPS, STEPS], bool))


@pytest.mark.usefixtures("eagerly")
def test_a_filter_predicts_from_earlier_observations_alone(tmp_path):
    model = small_oscillator(tmp_path, "VRNN")
    filtered = depends(
        lambda x: table.particle_filter(model, x, num_particles=5, seed=0), STEPS)
    np.testing.assert_array_equal(filtered.predicted[..., 0], BEFORE)
    np.testing.assert_array_equal(filtered.latents.any(-1), UP_TO)
    np.testing.assert_array_equal(filtered.increments, UP_TO)


@pytest.mark.oracle
@pytest.mark.usefixtures("eagerly")
def test_the_particle_filter_of_a_linear_model_is_the_kalman_filter(tmp_path, monkeypatch):
    model = linear_gaussian.LinearGaussian(HParams().parse(
        "vae_type=DMM,latent_size=1,rnn_hidden_sizes=[4],dmm_inference=ST-L,num_shards=1"),
        tmp_path)
    core = model.gen_core.core

    def proposal(h, feature):  # its weights are bounded, and unequal enough to be resampled
        prior = core.prior(h)
        return tfd.MultivariateNormalDiag(prior.mean() + prior.stddev(), 1.5 * prior.stddev())

    monkeypatch.setattr(core, "posterior", proposal)
    x = np.array([1.0, 8.0, -3.0, -6.0, 2.0, 9.0], np.float32)[:, np.newaxis]
    exact = tfd.LinearGaussianStateSpaceModel(
        len(x), tf.linalg.LinearOperatorFullMatrix([[1.0]]),
        tfd.MultivariateNormalDiag(
            [linear_gaussian.DRIFT], [linear_gaussian.TRANSITION_VARIANCE ** 0.5]),
        tf.linalg.LinearOperatorFullMatrix([[linear_gaussian.EMISSION]]),
        tfd.MultivariateNormalDiag([0.0], [linear_gaussian.EMISSION_VARIANCE ** 0.5]),
        tfd.MultivariateNormalDiag([0.0], [1.0]))
    log_prob, latents, _, _, _, predicted, _ = (part.numpy() for part in exact.forward_filter(x))
    filtered = table.particle_filter(
        model, np.repeat(x[np.newaxis], 50, 0), num_particles=500, seed=0)  # 50 filters

    def assert_mean(actual, expected):
        error = actual.std(0, ddof=1) / len(actual) ** 0.5
        assert np.all(np.abs(actual.mean(0) - expected) < 4 * error)

    assert_mean(filtered.predicted, predicted)
    assert_mean(filtered.latents, latents)
    assert_mean(np.exp(np.cumsum(filtered.increments - log_prob, 1)), 1.0)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(("vae_type", "predict"), [
    ("RNN", oscillator._rolled_out), ("SRNN", oscillator._rolled_out),
    ("TDVAE", functools.partial(oscillator._jumped, by_steps=False)),
    ("TDVAE", functools.partial(oscillator._jumped, by_steps=True))])
def test_a_prediction_reads_the_past_and_its_own_step_alone(
        tmp_path, monkeypatch, vae_type, predict):
    for name, value in (("STARTS", (2, 4)), ("AHEAD", (1, 3)), ("_SAMPLES", 3), ("_ROWS", 7)):
        monkeypatch.setattr(oscillator, name, value)
    model = small_oscillator(tmp_path, vae_type)
    for (t, d), read in depends(lambda x: predict(model, x, 0), STEPS).items():
        np.testing.assert_array_equal(np.flatnonzero(read), [*range(t), t + d - 1])


@pytest.mark.usefixtures("eagerly")
def test_a_rolled_out_step_has_the_density_of_the_filter(tmp_path, monkeypatch):
    for name, value in (("STARTS", (2, 4)), ("AHEAD", (1,)), ("_SAMPLES", 3)):
        monkeypatch.setattr(oscillator, name, value)
    model = small_oscillator(tmp_path, "RNN")
    x = np.random.default_rng(0).normal(size=[3, STEPS, 1]).astype(np.float32)
    exact = table.particle_filter(model, x, num_particles=1, seed=0).increments
    for (t, _), actual in oscillator._rolled_out(model, x, 0).items():
        np.testing.assert_allclose(actual, exact[:, t], rtol=1e-5)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("vae_type", ["RNN", "TDVAE"])
def test_a_belief_is_of_the_steps_before(tmp_path, vae_type):
    model = small_oscillator(tmp_path, vae_type)
    read = depends(lambda x: memory.beliefs(model, x), STEPS)
    np.testing.assert_array_equal(read.any(-1), BEFORE)


@pytest.mark.oracle
def test_colliding_balls_keep_their_energy_and_stay_in_the_box():
    path = balls.draw(3, np.random.default_rng(0))
    steps = np.diff(path, axis=1)
    assert path.min() > balls.RADIUS - 0.3 and path.max() < balls.BOX - balls.RADIUS + 0.3
    speeds = np.sqrt((steps ** 2).sum((2, 3)))
    assert np.quantile(speeds, 0.9) == pytest.approx(0.5, abs=1e-6)  # less where a wall turned one
    assert speeds.max() < 0.5 + 1e-6
    position = np.array([[3.0, 5.0], [5.0, 5.5], [8.0, 2.0]])
    velocity = np.array([[1.0, 0.2], [-0.5, 0.1], [0.0, 0.3]])
    _, after = balls.move(position, velocity, 0.01)
    assert np.any(after != velocity)
    np.testing.assert_allclose(after.sum(0), velocity.sum(0))  # momentum
    np.testing.assert_allclose((after ** 2).sum(), (velocity ** 2).sum())
    frame = balls.render(position)
    rows, columns = np.unravel_index(frame.argmax(), frame.shape)
    assert frame[15, 9] == pytest.approx(1, abs=1e-3) and frame[rows, columns] <= 1


def test_a_ball_on_a_line_is_interpolated_exactly():
    centres = np.stack([np.linspace(6.5, 25.5, 20), np.full(20, 12.5)], -1)
    frames = box.render(centres)
    assert np.mean(box.interpolated(frames) != frames[box.GAP]) < 0.002
    path = box.draw(20, np.random.default_rng(0))
    assert path.min() >= 5 and path.max() <= 27
    speeds = np.linalg.norm(np.diff(path, axis=1), axis=-1)
    assert np.median(speeds) == pytest.approx(2.5, abs=0.2) and speeds.max() < 3.0 + 1e-6
    assert box.with_gap(frames).mask.mean() == 6 / 20


def test_the_bob_is_where_the_state_says():
    states, frames, _ = pendulum.draw(5, np.random.default_rng(0))
    rows, columns = np.mgrid[:16, :16]
    mass = frames.sum((2, 3))
    x = (frames * columns).sum((2, 3)) / mass - 7.5
    y = 7.5 - (frames * rows).sum((2, 3)) / mass
    np.testing.assert_allclose(np.stack([x, y], -1), 5 * states[..., :2], atol=0.15)


def test_the_torque_before_a_frame_is_what_the_motion_lacks():
    states, _, torques = pendulum.draw(200, np.random.default_rng(0))
    sine, _, velocity = np.moveaxis(states, -1, 0)
    free = 0.1 * (9.81 * sine - 0.5 * velocity)
    forced = velocity[:, 1:] - velocity[:, :-1] - (free[:, 1:] + free[:, :-1]) / 2
    assert np.corrcoef(forced.ravel(), torques[:, 1:, 0].ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(forced.ravel(), torques[:, :-1, 0].ravel())[0, 1]) < 0.1
    assert not torques[:, 0].any()


def test_continued_frames_depend_on_the_torque_before_them_alone(tmp_path):
    split = pendulum.draw(2, np.random.default_rng(0))
    model = pendulum.DrivenFrames(HParams(
        vae_type="DMM", dmm_augmented=True, latent_size=3, rnn_hidden_sizes=(4,),
        latent_decoder_fc_layers=(8,)), tmp_path)
    changed = split._replace(torques=split.torques + 5 * (np.arange(15) == 8)[:, np.newaxis]
                             .astype(np.float32))
    frames, other = (pendulum.continued(model, one, seed=1) for one in (split, changed))
    assert frames.shape == (2, 10, 16, 16)
    np.testing.assert_array_equal(frames[:, :3], other[:, :3])  # frames 5 to 7
    assert np.all(np.abs(frames[:, 3:] - other[:, 3:]).max((2, 3)) > 1e-6)
    late = split.frames[:, 4:14]
    assert pendulum.frame_errors(split.frames[:, 5:], split) == {
        "error_1": 0, "error_5": 0, "error_10": 0}
    np.testing.assert_allclose(
        list(pendulum.frame_errors(late, split).values()),
        [np.mean(((split.frames[:, t] - split.frames[:, t - 1]) ** 2).sum((1, 2)))
         for t in (5, 9, 14)], rtol=1e-5)


class Recorder:
    """Stands in for a model: records its training, and scores the better the closer to seed 7."""

    def __init__(self, log_dir, seed):
        self.log_dir, self.seed, self.step, self.sessions = LogDir(log_dir), seed, 0, []

    def train(self, sequences, *, num_steps, valid, max_minutes, periods):
        self.step = num_steps
        self.sessions.append((num_steps, max_minutes))
        return TrainResult(num_steps, "done", abs(self.seed - 7), 0.0)


def test_training_goes_on_from_the_best_of_several_starts(tmp_path):
    recorders = []

    def make(log_dir, seed):
        recorders.append(Recorder(log_dir, seed))
        return recorders[-1]

    settings = table.Settings(seed=2, updates=50, max_minutes=9, log_dir=tmp_path)
    model, figures = table.train_best_start(make, settings, [], [], starts=3, start_updates=20)
    assert [one.seed for one in recorders] == [6, 7, 8] and model is recorders[1]
    assert len({one.log_dir.path for one in recorders}) == 3
    assert recorders[0].sessions == recorders[2].sessions == [(20, 3)]
    assert model.sessions == [(20, 3), (50, pytest.approx(9, abs=0.1))]
    assert figures["start_nats_per_step"] == [1, 0, 1] and figures["updates"] == 50


def test_least_squares_and_logistic_regression_find_what_is_linear():
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=[300, 2, 3]), rng.normal(size=[3, 2])
    targets = features @ weights + [1.0, 2.0]
    targets[..., 1] += rng.normal(size=[300, 2]) * np.sqrt((weights[:, 1] ** 2).sum())
    fitted = table.r_squared(features[:150], features[150:], targets[:150], targets[150:])
    np.testing.assert_allclose(fitted, [1, 0.5], atol=0.12)
    flat, labels = features[:, 0], features[:, 0] @ weights[:, 0] > 0
    assert memory.accuracy(flat[:200], labels[:200], flat[200:], labels[200:]) > 0.95
    x, is_above = memory.draw(50, rng)
    assert x.shape == (50, 140, 1) and 10 < is_above.sum() < 40
