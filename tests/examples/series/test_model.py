# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The model of series: its agent, each output, and an autoregression whose law is known."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from examples.series.commands import calibrating, generate
from examples.series.data import columns, layout, roles, sources, table, windows
from examples.series.hparams import SeriesHParams
from examples.series.model import SeriesModel, spread
from examples.series.model.agent import SeriesAgent
from examples.series.model.outputs import ValueEncoder, make_decoder, observation_spec
from examples.series.model.spread import Spread
from tests.examples.series.series_data import SMALL
from vaeseq.bounds import ELBO
from vaeseq.codec.missing import MaskedEncoder, masked_spec
from vaeseq.data import Masked, as_tensors
from vaeseq.testing import AgentContract

PHI, NOISE = 0.8, 0.5


def table_of(*series):
    names = np.repeat([f"s{n}" for n in range(len(series))], [len(v) for v in series])
    values = np.concatenate([np.asarray(v, float).reshape(len(v), -1) for v in series])
    read = columns.of_mapping({
        "series": names, "time": np.concatenate([np.arange(len(v)) for v in series]),
        **{f"y{d}": column for d, column in enumerate(values.T)}})
    return table.build([read], roles.find(read))


def model_of(one, folder, overrides=""):
    hparams = SeriesHParams().parse(SMALL).replace(
        **SeriesHParams.parse_overrides(overrides)).replace(horizon=3)
    hparams = sources.resolve(hparams, one)
    described = layout.describe(one, held_out=0, valid_windows=0, files=["f"])
    return SeriesModel(hparams, described, folder / "log", table=one)


def test_new_sequences_are_as_long_as_the_training_series(tmp_path):
    one = table_of(*(np.sin(np.arange(size)) for size in (20, 24, 30)))
    late = dataclasses.replace(one, series=tuple(
        each._replace(start=19000) for each in one.series))  # days since 1970
    model = model_of(late, tmp_path, "scaling=training")
    assert generate._usual_length(model) == 24
    model.layout = dataclasses.replace(model.layout, usual_length=0)  # an earlier version's
    assert generate._usual_length(model) == model.hparams.sequence_size


def test_each_categorical_target_has_few_values(tmp_path):
    one = table_of(np.stack([np.arange(40) % 3, np.arange(40)], -1))
    with pytest.raises(ValueError, match="column 'y1': expected at most 32 different values for"):
        model_of(one, tmp_path, "output=categorical")


@pytest.mark.parametrize("output", ["normal", "categorical"])
def test_a_model_in_float64_is_so_throughout(tmp_path, output):
    one = table_of(np.arange(30) % 3, np.arange(30) % 2)
    model = model_of(one, tmp_path, f"precision=float64,output={output},sequence_size=6")
    loss = model.make_loss(ELBO())
    batch = as_tensors(model.data_set(windows.positions([30, 30])).batch(0),
                       model.gen_core.core.observation_spec)
    out, _ = loss(batch, loss.initial_state(len(batch.lengths)), seed=0)
    assert out.loss.dtype == out.nats_per_step.dtype == tf.float64
    assert np.isfinite(model.forecast(one.series[0], 25, horizon=1, num_paths=2)).all()


class TestSeriesAgent(AgentContract):
    num_steps = 9
    per_dimension = True

    def make_object_under_test(self):
        spec = observation_spec("normal", 2)
        masked = masked_spec(spec, per_dimension=self.per_dimension)
        encoder = MaskedEncoder(ValueEncoder("scaled", spec, 0), masked)
        return SeriesAgent(encoder, masked, (1, 3, 7), 4, [5, 2], 3)

    def make_observations(self, leading):
        values = tf.random.stateless_normal([*leading, 2], [1, 2])
        mask = tf.random.stateless_uniform([*leading, 2], [1, 3]) < 0.8
        return Masked(values, mask if self.per_dimension else mask[..., 0])

    def make_inputs(self, leading):
        def uniform(*shape):
            return tf.random.stateless_uniform([*leading, *shape], [2, sum(shape) + len(shape)])

        return windows.StepInputs(
            uniform(4), tf.cast(2 * uniform(2), tf.int32), uniform(3, 2), uniform(3, 2) < 0.7,
            uniform(3) < 0.5, uniform())


class TestSeriesAgentOfWholeObservations(TestSeriesAgent):
    per_dimension = False


RNG = np.random.default_rng(0)
KINDS = {
    "normal": RNG.normal(size=[30, 2]), "student_t": RNG.normal(size=[30, 2]),
    "mixture": RNG.normal(size=30), "lognormal": RNG.random(30) + 0.1,
    "negative_binomial": RNG.poisson(3, 30), "zero_inflated": RNG.poisson(1, [30, 2]),
    "categorical": RNG.choice([-1.0, 0.5, 7.0], [30, 2]), "bernoulli": RNG.integers(0, 2, 30),
    "strokes": np.concatenate([RNG.normal(size=[30, 2]), RNG.integers(0, 2, [30, 1])], 1)}


@pytest.mark.parametrize("output", KINDS)
def test_each_output_trains_on_padded_batches_and_samples_its_kind(output, tmp_path, eagerly):
    values = KINDS[output].astype(float)
    missing = values.copy()
    missing[4] = np.nan
    one = table_of(missing, values[:9] + 0)  # the second series leaves padding (report 10)
    model = model_of(one, tmp_path, f"output={output},num_components=2,sequence_size=6")
    model.build()
    batch = model.data_set(windows.positions([30, 9])).batch(0)
    assert (batch.lengths < 6).any() or model.hparams.scaling == "training"
    ops = model._train_ops(1)
    metrics, _ = ops(batch, ops.initial_state(len(batch.lengths)))
    assert np.isfinite(metrics.loss) and np.isfinite(metrics.gradient_norm)
    paths = model.forecast(one.series[0], 30, horizon=2, num_paths=20)
    dims = 1 if values.ndim == 1 else values.shape[1]
    assert paths.shape == (20, 2, dims) and np.isfinite(paths).all()
    if output in ("categorical", "bernoulli"):
        assert set(paths.ravel()) <= set(values.ravel())
    elif output in ("negative_binomial", "zero_inflated"):
        assert (paths >= 0).all() and not (paths % 1).any()
    elif output == "lognormal":
        assert (paths > 0).all()
    elif output == "strokes":
        assert set(paths[..., 2].ravel()) <= {0.0, 1.0}


@pytest.mark.parametrize("base,expected", [
    ("none", lambda x: 0 * x[..., 0, :]), ("last", lambda x: x[..., 0, :]),
    ("season", lambda x: x[..., 0, :] + x[..., 2, :] - x[..., 3, :])])
def test_predictions_are_relative_to_earlier_values(base, expected):
    hparams = SeriesHParams(output="mixture", base=base, lags=(1, 2, 5, 6), season=5,
                            rnn_hidden_sizes=(3,), num_components=2)
    described = layout.describe(table_of(RNG.normal(size=[30, 2])), held_out=0, valid_windows=0,
                                files=["f"])
    decoder = make_decoder(hparams, described, num_floats=4)
    earlier = RNG.normal(scale=4.0, size=[7, 4, 2])
    mask = np.ones([7, 4, 2], bool)
    mask[5, 3, 1] = mask[6, 0, 0] = False  # without the season; without anything
    encoded = np.where(mask, squashed(earlier), 0.0)
    features = tf.constant(np.concatenate([
        RNG.normal(size=[7, 3 + 4]), np.concatenate([encoded, mask], -1).reshape(7, -1),
        RNG.normal(size=[7, 5])], 1), tf.float32)
    params = decoder(features)
    wanted = expected(earlier)
    if base == "season":
        wanted[5, 1] = earlier[5, 0, 1]
    if base != "none":
        wanted[6, 0] = 0.0
        params = params._replace(loc=params.loc - decoder._decoder(features).loc)
        np.testing.assert_allclose(
            params.loc, np.broadcast_to(wanted[..., None], params.loc.shape), atol=1e-4)
    assert decoder.dist(params).sample(seed=[1, 2]).shape == [7, 2]


def test_a_model_without_weights_predicts_the_change_of_a_season_ago(tmp_path, eagerly):
    values = np.cumsum(RNG.normal(size=40))
    one = table_of(values)
    model = model_of(one, tmp_path, "output=normal,base=season,season=5,scaling=training")
    model.build()
    for variable in model.gen_core.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    scores = np.concatenate(list(model.log_densities(one, windows.positions([40]))))
    change = np.diff(values)
    deviation = change[5:] - change[:-5]
    scale = model.layout.spread[0] * (np.log(2.0) + model.hparams.positive_eps)
    expected = -0.5 * np.log(2 * np.pi) - np.log(scale) - 0.5 * (deviation / scale) ** 2
    np.testing.assert_allclose(scores[6:], expected, rtol=1e-3)


def squashed(x):
    return 5 * np.arcsinh(x / 5)


@pytest.fixture(scope="module")
def autoregression(tmp_path_factory):
    """A model whose weights make it x_t ~ N(PHI f(x_t-1), NOISE), f the encoder of values."""
    values = [0.0]
    for noise in np.random.default_rng(1).normal(0, NOISE, 119):
        values.append(PHI * squashed(values[-1]) + noise)
    one = table_of(np.array(values) * 10 + 200)
    model = model_of(one, tmp_path_factory.mktemp("ar"), "season=1,scaling=history")
    model.build()
    model._ready = True
    b, w = sorted(model.gen_core.core.decoder.trainable_variables, key=lambda v: len(v.shape))
    weights = np.zeros(w.shape)
    weights[6 + model.maker.num_floats, 0] = PHI  # after the hidden units and the features
    w.assign(weights)
    b.assign([0.0, np.log(np.expm1(NOISE - model.hparams.positive_eps))])
    return model, one


def test_the_score_equals_numpys(autoregression):
    model, one = autoregression
    batches = model.validation_batches([windows.positions([120])[0][100:103]])
    score = model.evaluator().score(batches, seed=0)
    start = 100 - model.hparams.context
    cut = model.maker.window(one.series[0], start, 103)
    values, scale = cut.values[:, 0].astype(float), cut.scale[0]
    z = (values[-3:] - PHI * squashed(values[-4:-1])) / NOISE
    expected = 0.5 * z ** 2 + np.log(NOISE) + 0.5 * np.log(2 * np.pi) + np.log(scale)
    assert score.steps == 3
    assert score.nats_per_step == pytest.approx(expected.mean(), rel=1e-5)


def test_paths_follow_the_law_of_the_model(autoregression):
    model, one = autoregression
    paths = model.forecast(one.series[0], 120, horizon=6, num_paths=4000)[:, :, 0]
    window = model.maker.window(one.series[0], 120 - model.hparams.context, 120)
    rng = np.random.default_rng(0)
    x = np.full(4000, float(window.values[-1, 0]))
    for step in range(6):
        x = PHI * squashed(x) + NOISE * rng.normal(size=4000)
        mine = (paths[:, step] - window.loc[0]) / window.scale[0]
        error = np.sqrt((mine.var() + x.var()) / 4000)
        assert abs(mine.mean() - x.mean()) < 4.5 * error
        assert mine.std() / x.std() == pytest.approx(1, abs=0.06)


def test_a_forecast_reads_nothing_after_its_origin(autoregression):
    model, one = autoregression
    series = one.series[0]
    values = series.values.copy()
    values[100:] = 1e6
    changed = series._replace(values=values)
    shorter = series._replace(values=values[:100], known=series.known[:100])
    paths = [model.forecast(each, 100, horizon=6, num_paths=4000)
             for each in (series, changed, shorter)]
    np.testing.assert_array_equal(paths[0], paths[1])
    np.testing.assert_array_equal(paths[0], paths[2])
    assert not np.array_equal(paths[0], model.forecast(changed, 101, horizon=6, num_paths=4000))


def test_completions_follow_the_law_given_both_sides(autoregression, eagerly):
    model, one = autoregression
    values = one.series[0].values.copy()
    begin = 60 - model.hparams.context
    before = model.maker.window(one.series[0], begin, 60)
    values[60:62] = np.nan
    values[62] = before.loc + 0.7 * before.scale  # not what the past foretells
    series = one.series[0]._replace(values=values)
    completions = model.complete(series, 60, 62, lookahead=3, num_samples=500, num_particles=1500)
    window = model.maker.window(series, begin, 65)
    before, after = (window.values[at - begin, 0] for at in (59, 62))
    # By quadrature: p(x60, x61 | both sides) with the observation after the gap as a factor.
    x = np.linspace(-8, 8, 321)
    first = -0.5 * ((x - PHI * squashed(before)) / NOISE) ** 2
    second = -0.5 * ((x[None] - PHI * squashed(x)[:, None]) / NOISE) ** 2
    third = -0.5 * ((after - PHI * squashed(x)) / NOISE) ** 2
    density = np.exp(first[:, None] + second + third[None])
    for step, axis in ((0, 1), (1, 0)):
        marginal = density.sum(axis) / density.sum()
        mean = (x * marginal).sum()
        spread = np.sqrt((x ** 2 * marginal).sum() - mean ** 2)
        mine = (completions[:, step, 0] - window.loc[0]) / window.scale[0]
        assert abs(mine.mean() - mean) < 5 * spread / np.sqrt(200)  # particles share ancestors
        assert mine.std() == pytest.approx(spread, rel=0.2)
    # The value after the gap counts: without it the mean would be another by several errors.
    assert abs(mean - PHI * squashed(PHI * squashed(before))) > spread / 2


def test_log_densities_are_those_of_the_score_step_by_step(autoregression, eagerly):
    model, one = autoregression
    values = one.series[0].values.copy()
    values[101] = np.nan
    gappy = dataclasses.replace(one, series=(one.series[0]._replace(values=values),))
    places = [windows.positions([120])[0][start:stop] for start, stop in (
        (100, 105), (110, 112))]
    densities = np.concatenate(list(model.log_densities(gappy, places)))
    assert np.isnan(densities).tolist() == [False, True] + 5 * [False]
    batches = windows.scoring_batches(
        model.maker, gappy, places, model.hparams.context, model.hparams.horizon, 4)
    score = model.evaluator().score(batches, seed=0)
    assert np.nansum(densities) == pytest.approx(score.nats, rel=1e-5)


def test_the_latents_before_a_place_do_not_read_it(tmp_path, eagerly):
    one = table_of(np.arange(24) % 3 > 0)
    model = model_of(one, tmp_path, "vae_type=DSAE,output=bernoulli,context=4")
    model.build()
    evaluator = model.evaluator("elbo", 2)
    latent_kls = []
    for value in (0.0, 1.0):
        values = np.concatenate([one.series[0].values[:20], [[value]]])
        model.table = dataclasses.replace(one, series=(one.series[0]._replace(values=values),))
        batches = model.validation_batches([windows.Places(0, 20, 21)])
        (window,) = evaluator.windows(batches, seed=0)
        assert window.lengths.sum() == 1
        latent_kls.append(window.latent_kl[0, :5])
    np.testing.assert_array_equal(latent_kls[0][:4], latent_kls[1][:4])
    assert latent_kls[0][0].any()  # the latent of the sequence, drawn at its first step
    assert (latent_kls[0][4] != latent_kls[1][4]).any()


def test_training_reports_nats_of_the_datas_units(autoregression, eagerly):
    model, one = autoregression
    batch = model.data_set(windows.positions([120])).batch(0)
    ops = model._train_ops(1)
    metrics, _ = ops(batch, ops.initial_state(len(batch.lengths)))
    valid = np.arange(batch.inputs.log_jacobian.shape[1]) < batch.lengths[:, None]
    shift = -batch.inputs.log_jacobian[valid].mean()
    assert metrics.nats_per_step == pytest.approx(metrics.loss + shift, rel=1e-4)
    assert abs(shift) > 0.5


def test_a_spike_among_zeros_has_a_finite_gradient(tmp_path, eagerly):
    one = table_of(np.where(np.arange(90) == 70, 1e5, 0.0))
    model = model_of(one, tmp_path)
    model.build()
    ops = model._train_ops(1)
    metrics, _ = ops(model.data_set(windows.positions([90])).batch(0), ops.initial_state(4))
    assert np.isfinite(metrics.loss) and np.isfinite(metrics.gradient_norm)


def test_a_series_of_bits_has_the_same_forecast_alone_and_in_a_batch(tmp_path, eagerly):
    bits = np.random.default_rng(3).integers(0, 2, [2, 60]).astype(float)
    batch = table_of(*bits)
    model = model_of(batch, tmp_path, "output=bernoulli")
    alone = model.forecast(table_of(bits[0]).series[0]._replace(name="s0"), 60, horizon=3)
    np.testing.assert_array_equal(alone, model.forecast(batch.series[0], 60, horizon=3))
    assert 0 < alone.mean() < 1


def test_the_spread_of_lognormal_values_is_that_of_their_logarithms(autoregression, monkeypatch):
    model, one = autoregression
    model.log_dir.path.mkdir(parents=True, exist_ok=True)
    logs = np.random.default_rng(0).normal(size=[200, 1])
    wide = dataclasses.replace(one, series=(one.series[0]._replace(values=np.exp(logs)),))
    paths = np.random.default_rng(1).normal(size=[100, 3, 1])
    fitted = []
    monkeypatch.setattr(model, "table", wide)
    monkeypatch.setattr(model, "spread", Spread())
    monkeypatch.setattr(model, "forecast", lambda *arguments, **options: np.exp(paths))
    monkeypatch.setattr(model.maker, "space", windows.SPACES["lognormal"])
    monkeypatch.setattr(spread, "fit", lambda *arguments: fitted.append(arguments) or Spread())
    calibrating.run(model, windows.positions([200]), lambda: False)
    ((samples, observed, _),) = fitted
    np.testing.assert_allclose(samples[0], paths[:, :, 0], rtol=1e-6)
    first = model.hparams.context  # a forecast has a history
    np.testing.assert_allclose(observed[0], logs[first:first + 3, 0], rtol=1e-6)


def test_the_spread_is_calibrated_on_held_out_windows(autoregression, monkeypatch):
    model, one = autoregression
    model.log_dir.path.mkdir(parents=True, exist_ok=True)
    values = one.series[0].values[:, 0]

    def narrow(series, origin, *, horizon, num_paths, seed):
        assert origin >= 10  # nothing before the held-out steps is forecast
        rng = np.random.default_rng(seed)
        return values.mean() + 0.5 * values.std() * rng.normal(size=[num_paths, horizon, 1])

    monkeypatch.setattr(model, "spread", Spread())
    monkeypatch.setattr(model, "restore", lambda: 0)
    monkeypatch.setattr(model, "forecast", narrow)
    held_out = windows.positions([120])[0][10:]
    calibrating.run(model, [held_out[:20]], lambda: False)
    assert model.spread.first == 1.0  # too few values
    calibrating.run(model, [held_out], lambda: True)
    assert model.spread.first == 1.0  # stopped
    calibrating.run(model, [held_out], lambda: False)
    assert 1.5 < model.spread.first < 2.7 and 1.5 < model.spread.last < 2.7
    assert Spread.load(model.log_dir, 0) == model.spread
    assert Spread.load(model.log_dir, 1) == Spread()  # of another checkpoint
    (model.log_dir.path / "spread.json").unlink()


def test_series_of_a_table_draw_independently(autoregression):
    model, table = autoregression
    deviations = []
    for name in ("a", "b", "a"):
        paths = model.forecast(table.series[0]._replace(name=name), 60, horizon=2, num_paths=200,
                               seed=1)[:, 0, 0]
        deviations.append(paths - paths.mean())
    np.testing.assert_array_equal(deviations[0], deviations[2])
    assert abs(np.corrcoef(*deviations[:2])[0, 1]) < 0.3
