# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Decoders: initial parameters, dtypes of events, extremes, temperature, groups, errors."""

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf

from vaeseq.codec import decoders
from vaeseq.nn.dropout import enable_dropout

Note = collections.namedtuple("Note", ["pitch", "volume"])


def spec(*shape, dtype=tf.float32):
    return tf.TensorSpec(shape, dtype)


def seed(number):
    return tf.constant([7, number], tf.int32)


@pytest.mark.parametrize("hidden_sizes", [(), (6,)])
def test_parameters_of_zero_features_are_the_initial_ones(hidden_sizes):
    zeros = tf.zeros([2, 5])
    logits = np.array([[-1.0, 0.0, 2.0]])
    for decoder in (decoders.Categorical(3, hidden_sizes=hidden_sizes, initial_logits=logits[0]),
                    decoders.Bernoulli(spec(1, 3), initial_logits=logits),
                    decoders.Binomial(9, spec(1, 3), initial_logits=logits)):
        np.testing.assert_allclose(decoder(zeros)[1].numpy().ravel(), logits[0], rtol=1e-6)
    masked = decoders.MaskedBernoulli(spec(3), (8,), initial_logits=logits[0])
    np.testing.assert_allclose(
        masked.dist(masked(zeros[0])).conditional_logits(tf.zeros([3])), logits[0], rtol=1e-6)
    for projection, scale in itertools.product(["softplus", "exp"], [1e-3, 0.1, 1.0, 30.0]):
        normal = decoders.Normal(
            spec(2), hidden_sizes=hidden_sizes, positive_projection=projection,
            initial_loc=[3.0, 4.0], initial_scale=scale)
        params = normal(zeros)
        np.testing.assert_allclose(params.loc[0], [3.0, 4.0], rtol=1e-6)
        np.testing.assert_allclose(params.scale[0], [scale, scale], rtol=1e-4)
    beta = decoders.Beta(spec(2), initial_concentration=2.5)(zeros)
    np.testing.assert_allclose(beta.concentration1[0], [2.5, 2.5], rtol=1e-5)
    np.testing.assert_allclose(beta.concentration0[0], [2.5, 2.5], rtol=1e-5)


def test_the_initial_components_of_a_mixture_are_spread():
    mixture = decoders.MixtureOfNormals(3, spec(2), initial_loc=[1.0, 5.0], initial_scale=3.0)
    params = mixture(tf.zeros([4]))
    np.testing.assert_allclose(params.loc, [[-1, 1, 3], [3, 5, 7]], rtol=1e-5)
    np.testing.assert_allclose(params.scale, np.full([2, 3], 3.0), rtol=1e-5)
    np.testing.assert_array_equal(params.logits, np.zeros([2, 3]))


def test_classes_may_be_bytes():
    x = tf.random.stateless_normal([3, 5], [0, 1])
    symbols = np.array([0, 255, 7])
    decoder = decoders.Categorical(256, tf.TensorSpec([], tf.uint8))
    dist = decoder.distribution(x)
    log_probs = tf.nn.log_softmax(decoder(x)).numpy()
    np.testing.assert_allclose(
        dist.log_prob(tf.constant(symbols, tf.uint8)), log_probs[range(3), symbols], rtol=1e-5)
    assert dist.sample(seed=[0, 1]).dtype == tf.uint8


@pytest.mark.parametrize("dtype", [tf.bool, tf.int32, tf.uint8, tf.float32])
@pytest.mark.parametrize("make", [decoders.Bernoulli, decoders.MaskedBernoulli])
def test_binary_events_have_any_dtype(make, dtype):
    decoder = make(spec(3, dtype=dtype), hidden_sizes=(8,))
    dist = decoder.dist(decoder(tf.ones([2, 5])))
    x = dist.sample(seed=seed(1))
    assert x.dtype == dtype
    np.testing.assert_allclose(dist.log_prob(x), dist.log_prob(tf.cast(x, tf.float32)))


@pytest.mark.parametrize("make, inside, outside", [
    (lambda: decoders.Categorical(3), [0, 2], [-1, 3]),
    (lambda: decoders.Categorical(3, spec(dtype=tf.uint8)), [0, 2], [3, 255]),
    (lambda: decoders.Bernoulli(spec()), [0.0, 0.5, 1.0], [-0.1, 255.0]),
    (lambda: decoders.MaskedBernoulli(spec(1)), [[0.0], [1.0]], [[-1.0], [2.0]]),
    (lambda: decoders.Binomial(4, spec()), [0.0, 4.0], [-1.0, 1.5, 5.0]),
    (lambda: decoders.NegativeBinomial(spec()), [0.0, 7.0], [-2.5, -1.0, 1.5]),
    (lambda: decoders.ZeroInflated(decoders.NegativeBinomial(spec())), [0.0, 7.0], [-1.0, 0.5]),
    (lambda: decoders.Beta(spec()), [0.0, 0.3, 1.0], [-0.1, 1.5]),
])
@pytest.mark.parametrize("xla", [False, True])
def test_what_is_outside_of_the_support_scores_nan(make, inside, outside, xla):
    decoder = make()
    features = tf.ones([len(inside) + len(outside), 2])
    decoder(features)
    events = tf.constant(inside + outside, decoder.event_spec.dtype)

    @tf.function(jit_compile=xla)
    def score(events):
        with tf.GradientTape() as tape:
            log_prob = decoder.dist(decoder(features)).log_prob(events)
            loss = tf.reduce_sum(log_prob[:len(inside)])
        return log_prob, tape.gradient(loss, decoder.trainable_variables[0])

    log_prob, gradient = score(events)
    assert np.isfinite(log_prob[:len(inside)]).all() and np.isfinite(gradient).all()
    assert np.isnan(log_prob[len(inside):]).all()


@pytest.mark.parametrize("projection", ["softplus", "exp"])
def test_a_scale_is_neither_zero_nor_infinite(projection):
    decoder = decoders.Normal(spec(1), positive_projection=projection, positive_eps=1e-3)
    decoder(tf.zeros([1, 1]))
    weights, _ = sorted(decoder.trainable_variables, key=lambda v: -len(v.shape))
    weights.assign(tf.ones_like(weights))
    for size in (-1e4, 1e4):
        features = tf.fill([1, 1], size)
        with tf.GradientTape() as tape:
            scale = decoder(features).scale
            log_prob = decoder.dist(decoder(features)).log_prob(tf.zeros([1, 1]))
        assert np.all(scale >= 1e-3) and np.all(np.isfinite(scale))
        assert np.all(np.isfinite(tape.gradient(log_prob, weights)))
    np.testing.assert_allclose(decoder(tf.fill([1, 1], -1e4)).scale, [[1e-3]], rtol=1e-6)


def test_beta_samples_are_never_rounded_to_the_edges():
    decoder = decoders.Beta(spec(1))
    dist = decoder.dist(decoders.BetaParams(tf.fill([5000, 1], 0.01), tf.fill([5000, 1], 0.01)))
    x = dist.sample(seed=seed(1)).numpy()
    assert x.min() > 0.0 and x.max() < 1.0
    assert np.all(np.isfinite(dist.log_prob(x)))


def test_beta_temper_clips_the_concentration():
    decoder = decoders.Beta(spec(1), positive_eps=0.05)
    params = decoders.BetaParams(tf.constant([[0.5]]), tf.constant([[3.0]]))
    cold = decoder.temper(params, 0.25)
    np.testing.assert_allclose(cold.concentration1, [[0.05]], rtol=1e-6)  # not 1 - 0.5 / 0.25
    np.testing.assert_allclose(cold.concentration0, [[9.0]], rtol=1e-6)


def test_approximate_tempering_keeps_modes_and_narrows():
    mixture = decoders.MixtureOfNormals(2, spec())
    params = decoders.MixtureParams(
        tf.constant([0.0, 1.0]), tf.constant([-3.0, 3.0]), tf.constant([1.0, 2.0]))
    cold = mixture.temper(params, 0.25)
    np.testing.assert_allclose(cold.logits, [0.0, 4.0])
    np.testing.assert_allclose(cold.loc, params.loc)
    np.testing.assert_allclose(cold.scale, [0.5, 1.0])
    binomial = decoders.Binomial(5, spec())
    np.testing.assert_allclose(binomial.temper(tf.constant(0.7), 0.5), 1.4)


@pytest.mark.parametrize("temperature", [0, -0.5, float("nan"), float("inf"), np.float32(0.0)])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    decoder = decoders.Categorical(3)
    with pytest.raises(ValueError, match=f"a temperature above 0, got {temperature}. Below 1 shar"):
        decoder.temper(tf.zeros([3]), temperature)


@pytest.mark.parametrize("temperature", [1e-30, 1e-40, 1e-300, tf.constant(1e-40)])
def test_next_to_no_temperature_draws_the_most_likely(temperature):
    decoder = decoders.Categorical(3)
    params = decoder.temper(tf.constant([-9.0, 9.0, 8.9]), temperature)
    assert np.isfinite(params).all() and decoder.dist(params).sample(seed=1) == 1
    masked = decoders.MaskedBernoulli(spec(3), (4,))
    params = masked.temper(masked(tf.ones([5])), temperature)
    assert np.isfinite(masked.dist(params).log_prob(tf.zeros([3])))


@pytest.mark.parametrize("temperature", [0.5, np.float64(0.5), tf.constant(0.5)])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_a_temperature_takes_the_dtype_of_the_parameters(temperature, dtype):
    for decoder in (decoders.Categorical(3), decoders.Normal(spec(2)), decoders.Beta(spec(2)),
                    decoders.MixtureOfNormals(2, spec(2)),
                    decoders.MaskedBernoulli(spec(3), (4,))):
        params = decoder.temper(decoder(tf.ones([5], dtype)), temperature)
        assert {p.dtype for p in tf.nest.flatten(params)} == {dtype}


@pytest.mark.parametrize("make", [
    lambda: decoders.Bernoulli(spec(4), hidden_sizes=(50,), dropout=0.5),
    lambda: decoders.MaskedBernoulli(spec(4), (50,), dropout=0.5),
    lambda: decoders.RelativeBernoulli(spec(4), 50, dropout=0.5)])
def test_dropout_acts_inside_its_seed_only(make):
    decoder, features = make(), tf.ones([2, 5])

    def log_prob():
        return decoder.dist(decoder(features)).log_prob(tf.ones([2, 4])).numpy()

    plain = log_prob()
    with enable_dropout(seed(1)):
        assert np.all(log_prob() != plain)
    np.testing.assert_array_equal(log_prob(), plain)


class TestGroup:
    """A nest of decoders for a nest of observations."""

    def make(self):
        return decoders.Group(Note(
            pitch=decoders.Categorical(4),
            volume=[decoders.Normal(spec(2)), {"on": decoders.Bernoulli(spec(dtype=tf.bool))}]))

    def test_events_have_the_structure_of_the_decoders(self):
        group = self.make()
        x = group.dist(group(tf.ones([3, 5]))).sample(seed=seed(1))
        assert isinstance(x, Note)
        assert x.volume[1]["on"].dtype == tf.bool
        tf.nest.assert_same_structure(group.event_spec, x)

    def test_parts_are_sampled_independently(self):
        group = decoders.Group((decoders.Normal(spec(4)), decoders.Normal(spec(4))))
        params = group(tf.zeros([5]))
        one, other = group.dist(params).sample(seed=seed(1))
        assert np.all(one - params[0].loc != other - params[1].loc)

    def test_variables_of_all_parts_are_tracked(self):
        group = self.make()
        group(tf.ones([3, 5]))
        assert len(group.trainable_variables) == 6
        restored = tf.train.Checkpoint(group=group)
        assert restored.group.trainable_variables[0] is group.trainable_variables[0]

    def test_statistics_are_those_of_the_parts(self):
        group = decoders.Group({"a": decoders.Categorical(4), "b": decoders.Normal(spec(2))})
        params = group(tf.ones([3, 5]))
        dist, b = group.dist(params), decoders.Normal(spec(2)).dist(params["b"])
        a = decoders.Categorical(4).dist(params["a"])
        np.testing.assert_allclose(dist.entropy(), a.entropy() + b.entropy(), rtol=1e-6)
        np.testing.assert_array_equal(dist.mode()["a"], a.mode())
        np.testing.assert_array_equal(dist.mode()["b"], b.mode())
        normals = decoders.Group([decoders.Normal(spec(2))])
        np.testing.assert_array_equal(normals.dist([params["b"]]).mean()[0], b.mean())

    def test_the_batch_may_be_unknown_while_tracing(self):
        group = self.make()
        group(tf.ones([1, 5]))

        @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.float32)])
        def run(features):
            dist = group.dist(group(features))
            return dist.log_prob(dist.sample(seed=seed(1)))

        assert run(tf.ones([3, 5])).shape == [3]

    def test_observations_may_be_tuples_where_decoders_are_lists(self):
        group = decoders.Group([decoders.Normal(spec()), decoders.Normal(spec())])
        dist = group.dist(group(tf.ones([3, 5])))
        x = tuple(dist.sample(seed=seed(1)))
        np.testing.assert_array_equal(dist.log_prob(list(x)), dist.log_prob(x))


@pytest.mark.parametrize("make, error, message", [
    (lambda: decoders.Categorical(0), ValueError,
     "Categorical expects 1 to 2,147,483,648 classes of int32, got 0"),
    (lambda: decoders.Categorical(257, tf.TensorSpec([], tf.uint8)), ValueError,
     "Categorical expects 1 to 256 classes of uint8, got 257"),
    (lambda: decoders.ZeroInflated(
        decoders.NegativeBinomial(spec(2)), initial_probability=np.array([0.3, 1.0])), ValueError,
     "Expected initial_probability above 0 and below 1, got 1.0"),
    (lambda: decoders.Categorical(3, spec()), TypeError,
     "Categorical expects events of a dtype that is integer, got float32. Cast the observations"),
    (lambda: decoders.Categorical(3, initial_logits=np.zeros(4)), ValueError,
     r"Expected initial_logits to be one number or an array of shape \[3\], got shape \[4\]"),
    (lambda: decoders.Bernoulli(spec(2), initial_logits=[0.0, -np.inf]), ValueError,
     "Expected initial_logits to be finite, got -inf in it. If it is"),
    (lambda: decoders.Bernoulli(tf.TensorSpec([None, 3], tf.float32)), ValueError,
     r"Bernoulli expects event_spec to have a fully defined shape, got \(None, 3\)"),
    (lambda: decoders.Bernoulli([88]), TypeError,
     r"Bernoulli expects event_spec to be a tf.TensorSpec of one observation, got \[88\]"),
    (lambda: decoders.Binomial(0, spec()), ValueError,
     "Binomial expects at least one trial, got total_count=0"),
    (lambda: decoders.Binomial(5, spec(dtype=tf.int32)), TypeError,
     "Binomial expects events of a dtype that is floating, got int32"),
    (lambda: decoders.Normal(spec(dtype=tf.int32)), TypeError, "Normal expects events of"),
    (lambda: decoders.Normal(spec(), initial_scale=[1.0, 2.0]), ValueError,
     r"initial_scale to be one number or an array of shape \[\], got shape \[2\]"),
    (lambda: decoders.Normal(spec(), positive_projection="square"), ValueError,
     r"positive_projection among \['exp', 'softplus'\], got 'square'"),
    (lambda: decoders.Normal(spec(), positive_eps=-1.0), ValueError,
     "Expected a positive_eps above 0, got -1.0"),
    (lambda: decoders.Beta(spec(), initial_concentration=0.0), ValueError,
     "Expected initial_concentration above positive_eps=0.01, got 0.0"),
    (lambda: decoders.Group(()), ValueError,
     r"decoders.Group expects at least one decoder, got \(\)"),
    (lambda: decoders.Group([3]), TypeError,
     "decoders.Group expects a nest of DistModules, got 3 in it"),
    (lambda: decoders.MaskedBernoulli(spec(2, 3), (8,)), ValueError,
     r"expects an event_spec of shape \[D\] with D >= 1, got \(2, 3\)"),
    (lambda: decoders.MaskedBernoulli(spec(0), (8,)), ValueError, r"got \(0,\)"),
    (lambda: decoders.MaskedBernoulli(spec(3), ()), ValueError,
     r"at least one hidden layer, got hidden_sizes=\(\). Without one, use Bernoulli"),
    (lambda: decoders.MaskedBernoulli(spec(3), (9, 8), relative=True), ValueError,
     r"multiples of D = 3, got \(9, 8\)"),
    (lambda: decoders.RelativeBernoulli(spec(2, 3), 4), ValueError,
     "shape .D. with D >= 1 and at least one channel"),
    (lambda: decoders.RelativeBernoulli(spec(3), 0), ValueError,
     "shape .D. with D >= 1 and at least one channel"),
    (lambda: decoders.MixtureOfNormals(0, spec()), ValueError,
     "MixtureOfNormals expects at least one component, got num_components=0"),
])
def test_wrong_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
