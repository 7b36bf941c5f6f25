# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Laws between the bounds, and their gradients, for a core of each kind."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests import small
from vaeseq import bounds, seeds, vae
from vaeseq.bounds import BOUNDS, ELBO, FIVO, IWAE, _importance, resampling
from vaeseq.codec import latent
from vaeseq.dist_module import DistModule
from vaeseq.dtypes import float_dtype
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.vae import VAE_TYPES, CoreState

pytestmark = pytest.mark.oracle

tfd = tfp.distributions


@pytest.fixture(scope="module", params=["RNN", "SRNN", "VRNN"])
def core(request):
    return small.gen_core(request.param, scale=0.3).core


@pytest.fixture(scope="module", params=["SRNN", "VRNN"])
def float64_core(request):
    encoder, decoder = small.real_codec()

    def stack():
        with float_dtype(tf.float64):
            return RecurrentStack([4])

    def normal():
        return latent.DiagonalNormal(2, (4,), activation="tanh")

    core = {
        "SRNN": lambda: vae.SRNN(decoder, encoder, stack(), stack(), normal(), normal()),
        "VRNN": lambda: vae.VRNN(
            decoder, encoder, stack(), MLP([4], activation="tanh"), normal(), normal()),
    }[request.param]()
    score(core, ELBO(), 1, 1, dtype=tf.float64)
    assert all(v.dtype == tf.float64 for v in core.trainable_variables)
    return small.set_weights(core, scale=0.3)


def score(core, bound, rows=2, steps=4, *, seed=1, state=None, part=slice(None), lengths=None,
          dtype=tf.float32, same_rows=False):
    """Computes the bound of random sequences; `same_rows` repeats the first row."""
    contexts = tf.random.stateless_normal([rows, steps, 3], [5, 6])
    observed = small.reals(rows, steps)
    if same_rows:
        contexts, observed = (tf.repeat(x[:1], rows, 0) for x in (contexts, observed))
    contexts, observed = (tf.cast(x[:, part], dtype) for x in (contexts, observed))
    state = bound.initial_state(core, rows) if state is None else state
    state = tf.nest.map_structure(lambda x: tf.cast(x, dtype), state)
    return bound(core, contexts, observed, state, lengths, seed=seeds.make(seed))


def totals(*args, **options):
    increments = score(*args, **options).increments
    return tf.reduce_sum(increments, 1).numpy().astype(np.float64)


def agree(one, other):
    """Asserts equal means, within four standard errors."""
    error = math.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    assert abs(one.mean() - other.mean()) <= 4 * error + 1e-5 * abs(one.mean())


def test_iwae_of_one_sample_is_the_elbo(core):
    elbo, iwae = score(core, ELBO(monte_carlo=True)), score(core, IWAE(1))
    for name in ("increments", "objective", "log_prob"):
        small.close(getattr(iwae, name), getattr(elbo, name), rtol=1e-4, atol=1e-5)


def test_fivo_that_never_resamples_is_iwae(core):
    options = {"rows": 2000, "same_rows": True}
    fivo = FIVO(4, resample_criterion_fn=resampling.never)
    agree(totals(core, fivo, **options), totals(core, IWAE(4), **options))


def test_the_analytic_kl_has_the_mean_of_the_sampled_one(core):
    options = {"rows": 4000, "same_rows": True}
    results = [score(core, ELBO(monte_carlo=way), **options) for way in (False, True)]
    agree(*(tf.reduce_sum(result.increments, 1).numpy() for result in results))
    agree(*(tf.reduce_sum(result.kl, 1).numpy() for result in results))
    analytic = results[0]
    small.close(tf.reduce_sum(analytic.latent_kl, -1), analytic.kl, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_results_are_finite_zero_in_padding_and_in_range(name, core):
    bound, lengths = BOUNDS[name](4), tf.constant([4, 0, 2])
    result = score(core, bound, rows=3, lengths=lengths)
    for field in ("increments", "objective", "log_prob", "kl", "latent_kl",
                  "effective_sample_size"):
        value = getattr(result, field).numpy()
        assert value.shape[:2] == (3, 4)
        assert np.all(np.isfinite(value))
        np.testing.assert_array_equal(value[1], 0)
        np.testing.assert_array_equal(value[2, 2:], 0)
    assert np.all(result.effective_sample_size[0] >= 1 - 1e-4)
    assert np.all(result.effective_sample_size[0] <= 4 + 1e-4)
    assert result.latent_kl.shape[2] == core.latent_size
    np.testing.assert_allclose(result.variance[1], 0, atol=1e-6)
    small.close(tuple(x[1] for x in tf.nest.flatten(result.state)),
                tuple(x[1] for x in tf.nest.flatten(bound.initial_state(core, 3))))
    np.testing.assert_allclose(
        tf.reduce_logsumexp(result.state.log_weights, 1) if name != "elbo"
        else math.log(4) + tf.reduce_mean(result.state.log_weights, 1), math.log(4), atol=1e-5)


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_gradients_equal_finite_differences(name, float64_core):
    """By central differences along random directions, with fixed random numbers."""
    core = float64_core
    bound = FIVO(3, resample_criterion_fn=resampling.never) if name == "fivo" else BOUNDS[name](3)
    variables = core.trainable_variables

    def loss():
        return tf.reduce_sum(score(core, bound, dtype=tf.float64).objective)

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, variables, unconnected_gradients="zero")
    step = 1e-5
    for number in range(2):
        directions = [tf.random.stateless_normal(v.shape, [number, i], dtype=v.dtype)
                      for i, v in enumerate(variables)]
        slope = sum(float(tf.reduce_sum(tf.convert_to_tensor(g) * d))
                    for g, d in zip(gradients, directions))
        ends = []
        for sign in (1, -1):
            for v, d in zip(variables, directions):
                v.assign_add(sign * step * d)
            ends.append(float(loss()))
            for v, d in zip(variables, directions):
                v.assign_sub(sign * step * d)
        # A central difference errs by O(step^2) and by rounding / step.
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-5)


class Nonlinear(vae.VAECore):
    """z_t ~ N(theta sin(z_t-1) + 0.5 z_t-1, 1), x_t ~ N(z_t^2 / 2, 0.7); z_0 = 0."""

    latent_size = 1
    state_spec = CoreState((), tf.TensorSpec([1], tf.float32))

    def __init__(self, theta=1.0):
        super().__init__(Squared())
        self.theta = tf.Variable(theta)

    def hidden(self, context_feature, state):
        return self.theta * tf.sin(state) + 0.5 * state

    def prior(self, h):
        return tfd.Independent(tfd.Normal(h, 1.0), 1)

    def posterior(self, h, feature):
        return self.prior(h)

    def update(self, h, z):
        return z, z


class Squared(DistModule):
    event_spec = tf.TensorSpec([1], tf.float32)

    def __call__(self, features):
        return features ** 2 / 2

    def dist(self, params):
        return tfd.Independent(tfd.Normal(params, 0.7), 1)


SEEN = np.array([0.1, 1.4, 3.0, 0.4], np.float32)
MULTINOMIAL = {"resample_fn": resampling.multinomial,
               "resample_criterion_fn": resampling.always}


def filtered(core, bound, rows, *, seed=1):
    observed = tf.tile(SEEN[None, :, None], [rows, 1, 1])
    return bound(core, tf.zeros([rows, len(SEEN), 0]), observed, bound.initial_state(core, rows),
                 seed=seeds.make(seed))


def test_the_score_term_makes_the_gradient_unbiased():
    """Compared with a finite difference of the mean bound; without the term it is biased."""
    rows, step, theta = 50_000, 0.3, 1.0

    def mean_and_error(one_part):
        """Of two parts, each with a seed."""
        values = np.concatenate([one_part(seed) for seed in (1, 2)]).astype(np.float64)
        return values.mean(), values.std() / math.sqrt(len(values))

    def means(at):
        return mean_and_error(lambda seed: tf.reduce_sum(filtered(
            Nonlinear(at), FIVO(2, **MULTINOMIAL), rows, seed=seed).increments, 1))

    def gradients(core, bound, seed):
        with tf.GradientTape() as tape:
            # One parameter for each row, to estimate the standard error.
            core.theta = tf.fill([rows, 1, 1], theta)
            tape.watch(core.theta)
            total = tf.reduce_sum(filtered(core, bound, rows, seed=seed).objective)
        return tf.squeeze(tape.gradient(total, core.theta))

    (high, one), (low, other) = means(theta + step), means(theta - step)
    slope, error = (high - low) / (2 * step), math.hypot(one, other) / (2 * step)
    means_and_errors = {}
    for score_term in (True, False):
        bound = FIVO(2, score_term=score_term, **MULTINOMIAL)
        means_and_errors[score_term] = mean_and_error(
            lambda seed, bound=bound: gradients(Nonlinear(theta), bound, 10 + seed))
    for score_term, (mean, mean_error) in means_and_errors.items():
        unbiased = abs(mean - slope) < 4 * math.hypot(error, mean_error)
        assert unbiased == score_term


def test_the_score_term_does_not_change_the_bound():
    one, other = (filtered(Nonlinear(), FIVO(3, score_term=way, **MULTINOMIAL), 5)
                  for way in (False, True))
    small.close(other.objective, one.objective)
    small.close(other.increments, one.increments)


LOG_WEIGHTS = np.log(np.array([[0.1, 0.2, 0.3, 0.4], [0.97, 0.01, 0.01, 0.01]], np.float32))
RESAMPLERS = {name: getattr(resampling, name) for name in (
    "multinomial", "stratified", "systematic")}


def counts_of(resample_fn, log_weights, runs=20_000):
    tiled = tf.repeat(log_weights[None], runs, 0)
    ancestors = resample_fn(tf.constant(tiled), seed=small.SEED).numpy()
    return (ancestors[..., None] == np.arange(len(log_weights))).sum(axis=1)


@pytest.mark.parametrize("name", sorted(RESAMPLERS))
@pytest.mark.parametrize("row", [0, 1])
def test_resampling_is_unbiased(name, row):
    counts = counts_of(RESAMPLERS[name], LOG_WEIGHTS[row] + 3.0)
    expected = 4 * np.exp(LOG_WEIGHTS[row])
    error = counts.std(axis=0) / math.sqrt(len(counts))
    assert np.all(counts.sum(axis=1) == 4)
    assert np.all(np.abs(counts.mean(axis=0) - expected) <= 4 * error + 1e-6)
    if name == "systematic":
        assert np.all(np.abs(counts - expected) < 1 + 1e-5)
    if name == "stratified":
        assert np.all(np.abs(counts - expected) < 2)


@pytest.mark.parametrize("name", sorted(RESAMPLERS))
def test_a_sample_of_weight_zero_is_never_an_ancestor(name, monkeypatch):
    log_weights = np.float32([[0.0, -0.3, -np.inf, -0.1, -np.inf, -np.inf]] * 3)
    ancestors = RESAMPLERS[name](tf.constant(log_weights), seed=small.SEED).numpy()
    assert not np.isin(ancestors, [2, 4, 5]).any()
    # With the largest uniform number below 1.
    highest = np.nextafter(np.float32(1), np.float32(0))
    monkeypatch.setattr(tf.random, "stateless_uniform",
                        lambda shape, *_, **__: tf.fill(shape, highest))
    ancestors = RESAMPLERS[name](tf.constant(log_weights), seed=small.SEED).numpy()
    assert not np.isin(ancestors, [2, 4, 5]).any()
    # With weights whose sum is rounded to less than 1.
    many = np.random.default_rng(0).normal(size=[300, 64]).astype(np.float32)
    many[:, -1] = -np.inf
    ancestors = RESAMPLERS[name](tf.constant(many), seed=small.SEED).numpy()
    assert ancestors.max() == 62


def test_weights_in_closed_form():
    weights = np.exp(LOG_WEIGHTS)
    np.testing.assert_allclose(
        resampling.effective_sample_size(LOG_WEIGHTS + 7.0),
        weights.sum(1) ** 2 / (weights ** 2).sum(1), rtol=1e-5)
    # Densities of wide observations are large numbers.
    np.testing.assert_allclose(
        resampling.effective_sample_size(tf.constant([[-1234567.0] * 4, [1e6, 0.0, 0.0, 0.0]])),
        [4.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(
        resampling.log_mean_exp(tf.constant(LOG_WEIGHTS)), np.log(weights.mean(1)), rtol=1e-5)
    without = np.stack([np.log(np.delete(weights, s, 1).mean(1)) for s in range(4)], 1)
    np.testing.assert_allclose(resampling.log_mean_variance(tf.constant(LOG_WEIGHTS)),
                               3 * without.var(axis=1), rtol=1e-4)
    assert np.all(np.isnan(resampling.log_mean_variance(tf.zeros([2, 1]))))
    np.testing.assert_array_equal(resampling.never(tf.constant(LOG_WEIGHTS)), [False, False])
    np.testing.assert_array_equal(resampling.always(tf.constant(LOG_WEIGHTS)), [True, True])
    np.testing.assert_array_equal(
        resampling.when_ess_below(0.5)(tf.constant(LOG_WEIGHTS)), [False, True])


@pytest.mark.parametrize("bound", [ELBO, IWAE])
def test_chunks_of_samples_combine_to_the_bound_of_all(bound, core, monkeypatch):
    monkeypatch.setattr(_importance, "_STEPS_AT_ONCE", 8)  # two samples of [2, 2] steps
    chunked = bound(6, chunked=True)
    first = score(core, chunked, part=slice(0, 2))
    second = score(core, chunked, part=slice(2, None), state=first.state, seed=2)
    chunked_increments = tf.concat([first.increments, second.increments], 1)
    parts = []
    for one, other in zip(seeds.split(seeds.make(1), 3), seeds.split(seeds.make(2), 3)):
        first = score(core, bound(2), part=slice(0, 2), seed=one)
        after = score(core, bound(2), part=slice(2, None), state=first.state, seed=other)
        parts.append(tf.concat([first.increments, after.increments], 1).numpy())
    if bound is ELBO:
        expected = np.mean(parts, axis=0)
    else:
        beginnings = np.log(np.mean(np.exp(np.cumsum(parts, axis=2)), axis=0))
        expected = np.diff(beginnings, axis=1, prepend=0)
    np.testing.assert_allclose(chunked_increments, expected, rtol=1e-3, atol=1e-4)


def test_chunks_of_samples_without_latents_are_compiled(monkeypatch):
    monkeypatch.setattr(_importance, "_STEPS_AT_ONCE", 16)  # two samples of [2, 4] steps
    core = small.gen_core("SRNN", latent_size=0).core
    run = tf.function(
        lambda: score(core, IWAE(4, chunked=True)).increments, autograph=False)
    small.close(run(), score(core, IWAE(4)).increments)


def test_chunks_bound_the_memory_of_a_compiled_program(monkeypatch):
    monkeypatch.setattr(_importance, "_STEPS_AT_ONCE", 16)  # two samples of [2, 4] steps
    core, sizes = small.gen_core("ISEQ").core, {}
    for chunked in (True, False):
        run = tf.function(
            lambda chunked=chunked: score(core, IWAE(12, chunked=chunked)).increments,
            jit_compile=True)
        graph = run.get_concrete_function().graph.as_graph_def(add_shapes=True)
        nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
        shapes = [tf.TensorShape(shape) for node in nodes
                  for shape in node.attr["_output_shapes"].list.shape]
        # Rows of the decoder's outputs: [B * S, T, E], of all samples or of those at once.
        sizes[chunked] = max(shape[0] for shape in shapes
                             if shape.rank == 3 and shape[1:] == [4, 2] and shape[0])
    assert sizes[False] == 24
    assert sizes[True] <= 6


@pytest.mark.parametrize("spread", [0.5, 5.0, 60.0])
def test_the_variance_is_right_for_even_and_uneven_weights(spread):
    normal = np.random.default_rng(0).normal(size=[4000, 32])
    log_weights = tf.constant(spread * normal, tf.float32)
    true = np.var(resampling.log_mean_exp(log_weights))
    estimate = np.mean(resampling.log_mean_variance(log_weights))
    # Efron and Stein: the mean of the jackknife is at least the variance with one sample fewer. The
    # delta method gives a hundredth of it at a spread of 5. Four standard errors are 10 %.
    assert 0.9 < estimate / true < 1.4


def test_the_size_of_chunks_follows_the_size_of_the_sequences():
    assert _importance.chunk_size(1024, True, 8, 16) == 1024
    assert _importance.chunk_size(1024, True, 8, 160) == 64  # 81,920 of at most 131,072 steps
    assert _importance.chunk_size(1024, True, 1, 1 << 20) == 1
    assert _importance.chunk_size(1024, False, 8, 160) == 1024
    assert _importance.chunk_size(6, True, 16, 2048) == 3


@pytest.mark.parametrize("make, message", [
    *((lambda bound=bound: bound(0), f"{name.upper()} .* expected at least 1, got 0")
      for name, bound in BOUNDS.items()),
    *((lambda fraction=fraction: resampling.when_ess_below(fraction),
       f"0 < fraction <= 1, got {fraction}") for fraction in (0.0, -1.0, 1.5, math.nan)),
], ids=lambda value: value if isinstance(value, str) else "")
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_bound_is_created_by_the_name_it_is_registered_under(monkeypatch):
    class Tighter(IWAE):
        name = "tighter"

    monkeypatch.setitem(BOUNDS, "tighter", Tighter)
    for name, kind in BOUNDS.items():
        assert type(bounds.make(name, 3)) is kind
    assert bounds.make("tighter", 3).num_samples == 3


class TransformedLatent(vae.VRNN):
    """A posterior whose attribute `distribution` is not a distribution of z."""

    def posterior(self, h, feature):
        return tfd.MultivariateNormalDiag(feature[..., :2], tf.ones_like(feature[..., :2]))

    def prior(self, h):
        return tfd.MultivariateNormalDiag(h.output[..., :2], tf.ones_like(h.output[..., :2]))


def test_a_transformed_latent_has_no_kl_per_dimension(monkeypatch):
    monkeypatch.setitem(VAE_TYPES, "VRNN", TransformedLatent)
    result = score(small.gen_core("VRNN").core, ELBO(2))
    assert result.latent_kl.shape == [2, 4, 0]
    assert np.all(result.kl > 0)


class Guided(Nonlinear):
    """A proposal between the prior and the observation; rows may have their own parameters."""

    def __init__(self, theta, phi):
        super().__init__()
        self.theta, self.phi = theta, phi

    def encode_observed(self, context_features, observed, lengths=None):
        return observed

    def posterior(self, h, feature):
        return tfd.Independent(tfd.Normal(h + self.phi * (feature - h), 0.8), 1)


def gradients_of_rows(bound, rows, kl_weight, seed):
    """Computes the gradient in (theta, phi) of each row's bound, [2, rows]."""
    samples = bound.num_samples
    theta, phi = tf.fill([rows, 1, 1], 0.6), tf.fill([rows, 1, 1], 0.4)
    observed = tf.tile(SEEN[None, :, None], [rows, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch([theta, phi])
        # Rows of the tiled batch [B * S], and [B * S, T] after the loop.
        core = Guided(*(PerRow(x, samples) for x in (theta, phi)))
        result = bound(core, tf.zeros([rows, len(SEEN), 0]), observed,
                       bound.initial_state(core, rows), kl_weight=kl_weight,
                       seed=seeds.make(seed))
        total = tf.reduce_sum(result.objective)
    gradients = tape.gradient(total, [theta, phi])
    return np.stack([np.ravel(g) for g in gradients]).astype(np.float64), result


class PerRow:
    """One parameter for each row, multiplied with tensors [B * S, Z] or [B * S, T, Z]."""

    def __init__(self, values, samples):
        self._values = tf.repeat(values[:, 0, 0], samples)

    def __mul__(self, other):
        shape = [-1] + [1] * (other.shape.rank - 1)
        return tf.reshape(self._values, shape) * other


def plain_and_doubly(kl_weight):
    """Computes both gradients with the same samples, and the standard error of the difference."""
    rows, samples, parts = 20_000, 8, []
    for seed in (1, 2, 3):
        plain, one = gradients_of_rows(IWAE(samples), rows, kl_weight, seed)
        doubly, other = gradients_of_rows(
            IWAE(samples, doubly_reparameterized=True), rows, kl_weight, seed)
        small.close(other.increments, one.increments)
        small.close(other.objective, one.objective, rtol=1e-4, atol=1e-5)
        parts.append((plain, doubly))
    plain, doubly = (np.concatenate(gradients, axis=1) for gradients in zip(*parts))
    return plain, doubly, (doubly - plain).std(axis=1) / math.sqrt(3 * rows)


@pytest.mark.parametrize("kl_weight", [1.0, 0.3])
def test_doubly_reparameterized_gradients_have_the_same_mean_and_less_variance(kl_weight):
    plain, doubly, error = plain_and_doubly(kl_weight)
    difference = doubly.mean(axis=1) - plain.mean(axis=1)
    assert np.all(np.abs(difference) < 4 * error)
    assert np.all(4 * error < 0.1 * np.abs(plain.mean(axis=1)) + 0.01)
    if kl_weight == 1.0:
        assert doubly[1].var() < 0.6 * plain[1].var(), "the posterior's gradient is the quieter"


def test_doubly_reparameterized_gradients_are_finite_and_leave_the_bound_unchanged(core):
    lengths = tf.constant([4, 2])
    plain = score(core, IWAE(3), lengths=lengths)
    with tf.GradientTape() as tape:
        result = score(core, IWAE(3, doubly_reparameterized=True), lengths=lengths)
        total = tf.reduce_sum(result.objective)
    gradients = tape.gradient(total, core.trainable_variables, unconnected_gradients="zero")
    small.close(result.objective, plain.objective, rtol=1e-4, atol=1e-5)
    assert all(np.all(np.isfinite(tf.convert_to_tensor(g))) for g in gradients)


class Coin(Guided):
    """A core with discrete latents."""

    def posterior(self, h, feature):
        return tfd.Independent(tfd.Bernoulli(logits=h, dtype=tf.float32), 1)

    def prior(self, h):
        return self.posterior(h, ())


def test_doubly_reparameterized_gradients_need_all_samples_at_once():
    # The masks of dropout would not be those of the samples.
    with pytest.raises(ValueError, match="expected chunked=False, got True"):
        IWAE(4, chunked=True, doubly_reparameterized=True)


def test_doubly_reparameterized_gradients_need_reparameterized_samples():
    with pytest.raises(ValueError, match="that of Coin is .*NOT_REPARAMETERIZED.* Train without"):
        filtered(Coin(1.0, 0.5), IWAE(2, doubly_reparameterized=True), 2)
