# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contracts of encoders and decoders, over all that ship; and that the contracts can fail."""

import unittest

import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq import testing
from vaeseq.codec import decoders, encoders, latent
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.nn import networks

pytestmark = pytest.mark.contract

tfd = tfp.distributions


def floats(*shape):
    return tf.TensorSpec(shape, tf.float32)


DECODERS = {
    "Categorical": lambda: decoders.Categorical(5, hidden_sizes=(7,)),
    "CategoricalVector": lambda: decoders.Categorical(4, tf.TensorSpec([3], tf.int64)),
    "Bernoulli": lambda: decoders.Bernoulli(tf.TensorSpec([2, 3], tf.bool), hidden_sizes=(7, 7)),
    "Binomial": lambda: decoders.Binomial(10, floats(3)),
    "MaskedBernoulli": lambda: decoders.MaskedBernoulli(tf.TensorSpec([6], tf.uint8), (20, 11)),
    "MaskedBernoulliRelative": lambda: decoders.MaskedBernoulli(
        floats(4), (8, 12), relative=True, aligned=(0, 5)),
    "RelativeBernoulli": lambda: decoders.RelativeBernoulli(
        tf.TensorSpec([4], tf.uint8), 3, aligned=(0, 5)),
    "Normal": lambda: decoders.Normal(floats(), hidden_sizes=(7,), activation="tanh"),
    "NormalExp": lambda: decoders.Normal(floats(2, 3), positive_projection="exp"),
    "MixtureOfNormals": lambda: decoders.MixtureOfNormals(4, floats(2)),
    "Beta": lambda: decoders.Beta(floats(2)),
    "StudentT": lambda: decoders.StudentT(floats(2)),
    "NegativeBinomial": lambda: decoders.NegativeBinomial(floats(2), hidden_sizes=(7,)),
    "ZeroInflated": lambda: decoders.ZeroInflated(decoders.NegativeBinomial(floats(2))),
    "MixtureOfBivariateNormals": lambda: decoders.MixtureOfBivariateNormals(3, floats(2)),
    "GroupOfDecoders": lambda: decoders.Group({
        "note": decoders.Categorical(4),
        "rest": (decoders.Normal(floats(2)),
                 decoders.Group([decoders.Bernoulli(tf.TensorSpec([], tf.bool))]))}),
    "DiagonalNormal": lambda: latent.DiagonalNormal(3, (8,)),
    "DiagonalNormalOfSizeZero": lambda: latent.DiagonalNormal(0, (8,)),
    "StandardNormal": lambda: latent.StandardNormal(2),
}
ENCODERS = {
    "Flatten": lambda: encoders.Flatten(tf.TensorSpec([2, 3], tf.bool)),
    "FlattenScalar": lambda: encoders.Flatten(floats()),
    "Embed": lambda: encoders.Embed(5, 3),
    "MLPEncoder": lambda: encoders.MLPEncoder(floats(2, 3), (8, 4)),
    "ConvEncoder": lambda: encoders.ConvEncoder(
        tf.TensorSpec([7, 9, 2], tf.uint8), (4, 8), scale=1 / 255),
    "EncoderSequence": lambda: encoders.EncoderSequence(
        [encoders.Embed(5, 3), encoders.MLPEncoder(floats(3), (4,))]),
    "GroupOfEncoders": lambda: encoders.Group({"note": encoders.Embed(5, 3), "volume": (
        encoders.Flatten(floats()), encoders.Flatten(tf.TensorSpec([2], tf.int32)))}),
}


class _DecoderTest(testing.DistModuleContract):
    features_size = 9


# XLA takes 1 to 5 s for each of the other decoders, most of it for samplers.
COMPILED = (*ENCODERS, "Categorical", "MaskedBernoulliRelative", "MixtureOfNormals")

for _base, _makers in ((_DecoderTest, DECODERS), (testing.EncoderContract, ENCODERS)):
    for _name, _make in _makers.items():
        class _Case(_base):
            def make_object_under_test(self, make=_make):
                return make()

            if _name not in COMPILED:
                @pytest.mark.slow
                def test_compiled_equals_eager(self):
                    super().test_compiled_equals_eager()

        globals()[f"Test{_name}"] = _Case


class Counts(DistModule):
    """The decoder in the docstring of `DistModule`."""
    event_spec = tf.TensorSpec([3], tf.float32)

    def __init__(self):
        super().__init__()
        self._log_rate = networks.MLP((64, 3))

    def __call__(self, features):
        return self._log_rate(features)

    def dist(self, params):
        return tfd.Independent(tfd.Poisson(log_rate=params), 1)


class TestDecoderUnderUnittest(testing.DistModuleContract, unittest.TestCase):

    extreme = 20.0

    def make_object_under_test(self):
        return Counts()

    def make_event(self, decoder, leading, seed):
        return tf.ones([*leading, 3])

    @pytest.mark.slow
    def test_compiled_equals_eager(self):
        super().test_compiled_equals_eager()


class LogCounts(Encoder):
    """The encoder in the docstring of `Encoder`."""
    output_size = 3

    def __call__(self, observation):
        return tf.math.log1p(observation)


class TestEncoderUnderUnittest(testing.EncoderContract, unittest.TestCase):
    def make_object_under_test(self):
        return LogCounts()

    def make_observation(self, encoder, leading):
        return tf.ones([*leading, 3])


@pytest.mark.parametrize("module, kind, makers", [
    (decoders, DistModule, DECODERS), (encoders, Encoder, ENCODERS)])
def test_everything_public_is_tested(module, kind, makers):
    public = {getattr(module, name) for name in module.__all__}
    assert {each for each in public if issubclass(each, kind)} <= {
        type(make()) for make in makers.values()}


class Unseeded(tfd.Poisson):
    """Samples from TensorFlow's own generator."""

    def _sample_n(self, n, seed=None):
        return tf.random.poisson([n], tf.exp(self.log_rate))


class WithoutConstant(tfd.MultivariateNormalDiag):
    """Its KL divergence lacks a term."""

    def kl_divergence(self, other, name="kl"):
        return super().kl_divergence(other) + 0.5


class Wide(tfd.Normal):
    """Samples three times wider than its density."""

    def _sample_n(self, n, seed=None):
        return 3.0 * super()._sample_n(n, seed)


class Unnormalised(tfd.Normal):
    """Its density lacks the scale."""

    def _log_prob(self, x):
        return super()._log_prob(x) + tf.math.log(self.scale)


class OneSeed(tfd.Normal):
    """Samples the same for every seed."""

    def _sample_n(self, n, seed=None):
        return super()._sample_n(n, tf.constant([1, 2]))


class SharedNoise(tfd.Normal):
    """Samples all rows with the same noise."""

    def _sample_n(self, n, seed=None):
        return self.scale * tf.random.stateless_normal([n, 1, 3], seed)


class Mean(tfd.Normal):
    """Samples its mean."""

    def _sample_n(self, n, seed=None):
        return tf.repeat(self._mean()[None], n, 0)


def normal_of(kind):
    """Returns a `dist` of normals whose logarithmic scale is the parameter."""
    return {"dist": lambda log_scale: tfd.Independent(kind(0.0, tf.exp(log_scale)), 1)}


class BrokenDecoder(Counts):
    """A decoder with one method replaced by a test."""

    def __init__(self, **broken):
        super().__init__()
        self.__call__(tf.zeros([1, 5]))
        self._broken = broken

    def __call__(self, features):
        params = super().__call__(features)
        return self._broken["call"](params) if "call" in getattr(self, "_broken", ()) else params

    def dist(self, params):
        return self._broken.get("dist", super().dist)(params)

    def temper(self, params, temperature):
        return self._broken.get("temper", super().temper)(params, temperature)


def contract_of(decoder):
    contract = testing.DistModuleContract()
    contract.make_object_under_test = lambda: decoder
    contract.extreme = 20.0
    return contract


@pytest.mark.parametrize("test, broken, message", [
    ("shapes_with_any_leading_dimensions",
     {"dist": lambda log_rate: tfd.Poisson(log_rate=log_rate)},
     r"dist must have batch shape \[\], not \(3,\): wrap it in tfd.Independent"),
    ("observations_do_not_mix",
     {"dist": lambda log_rate: tfd.Independent(
         tfd.Poisson(log_rate=log_rate - tf.reduce_mean(log_rate)), 1)},
     "must not depend on the rest of the batch"),
    ("gradients_reach_every_variable",
     {"dist": lambda log_rate: tfd.Independent(
         tfd.Poisson(log_rate=tf.stop_gradient(log_rate)), 1)},
     "Variable broken_decoder/mlp/linear_0/b:0 gets no gradient"),
    ("temperature_must_be_positive",
     {"temper": lambda params, temperature: params},
     "temper must raise ValueError at temperature 0.0: begin it"),
    ("temperature_one_changes_nothing",
     {"temper": lambda params, temperature: params + 1.0},
     "temper must change nothing at temperature 1. The largest difference is"),
    ("temperature_sharpens_and_flattens",
     {"temper": lambda params, temperature: params - 5.0 * temperature},
     "A lower temperature must not make a distribution more random: entropy"),
    ("samples_follow_the_seed",
     {"dist": lambda log_rate: tfd.Independent(Unseeded(log_rate=log_rate), 1)},
     "sample with the same seed must give the same observations"),
    ("samples_follow_the_density", normal_of(OneSeed), "give other observations for another seed"),
    ("samples_follow_the_density", normal_of(Mean), "give other observations for another seed"),
    *(("samples_follow_the_density", normal_of(kind), "by the features must be 0 on average")
      for kind in (Wide, Unnormalised, SharedNoise)),
    ("parameters_are_the_same_in_two_evaluations",
     {"call": lambda log_rate: log_rate + tf.random.normal([3])},
     "Parameters must be the same in two evaluations"),
    ("kl_of_equal_distributions_is_zero",
     {"dist": lambda log_rate: WithoutConstant(log_rate)},
     r"KL\(q \|\| q\) of the distribution must be 0"),
])
def test_the_decoder_contract_can_fail(test, broken, message):
    with pytest.raises(AssertionError, match=message):
        getattr(contract_of(BrokenDecoder(**broken)), f"test_{test}")()


def test_a_decoder_without_temper_samples_at_temperature_one_only():
    params = tf.zeros([2, 3])
    assert Counts().temper(params, 1.0) is params
    for temperature in (0.5, tf.constant(1.0)):
        with pytest.raises(NotImplementedError, match="Counts can be sampled at temperature 1 onl"):
            Counts().temper(params, temperature)


class BrokenEncoder(Encoder):
    """Mixes examples of the batch, adds noise, and declares one feature too many."""
    output_size = 4
    input_spec = tf.TensorSpec([3], tf.float32)

    def __call__(self, observation):
        return observation - tf.reduce_sum(observation) + tf.random.normal([])


@pytest.mark.parametrize("test, message", [
    ("features_have_the_leading_dimensions",
     r"leading dimensions \[\] must give features of shape \[4\], not \[3\]"),
    ("observations_do_not_mix", "must not depend on the rest of the batch"),
    ("features_are_the_same_in_two_evaluations", "Features must be the same in two evaluations"),
])
def test_the_encoder_contract_can_fail(test, message):
    contract = testing.EncoderContract()
    contract.make_object_under_test = BrokenEncoder
    with pytest.raises(AssertionError, match=message):
        getattr(contract, f"test_{test}")()


@pytest.mark.parametrize("contract", [testing.DistModuleContract, testing.EncoderContract])
def test_a_contract_needs_an_object_under_test(contract):
    with pytest.raises(NotImplementedError, match="Define make_object_under_test"):
        contract().make_object_under_test()


def test_a_missing_input_spec_is_an_error():
    with pytest.raises(NotImplementedError, match="LogCounts has no input_spec. Define it"):
        LogCounts().input_spec  # noqa: B018
