# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contracts of encoders and decoders."""

from __future__ import annotations

import itertools
import unittest
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.testing._checks import (
    check_gradients,
    check_kl_with_itself,
    check_no_noise,
    pairs,
    random_nest,
    require,
    require_close,
    require_finite,
    seed,
)
from vaeseq.types import Nest, Seed, Tensor

_LEADING: tuple[list[int], ...] = ([], [3], [2, 2, 3])


def _has_temper(decoder: DistModule, params: Nest) -> bool:
    try:
        decoder.temper(params, tf.constant(0.5))
    except NotImplementedError:
        return False
    return True


class EncoderContract:
    """Tests that every `Encoder` must pass."""

    def make_object_under_test(self) -> Encoder:
        """Returns a new encoder."""
        raise NotImplementedError("Define make_object_under_test(self) to return a new Encoder.")

    def make_observation(self, encoder: Encoder, leading: Sequence[int]) -> Nest:
        """Returns observations, a nest of [*leading, E].

        The default follows the encoder's `input_spec`: normal floats, integers and bools 0 or 1.
        """
        return random_nest(encoder.input_spec, leading)

    def test_output_size_is_known_before_the_first_call(self) -> None:
        encoder = self.make_object_under_test()
        before = encoder.output_size
        require(isinstance(before, int) and before >= 0,
                 f"output_size must be an int, known before the first call, not {before!r}.")
        encoder(self.make_observation(encoder, [2]))
        require(encoder.output_size == before, "output_size must not change with the first call: "
                 f"it was {before} and became {encoder.output_size}.")

    def test_features_have_the_leading_dimensions(self) -> None:
        encoder = self.make_object_under_test()
        for leading in _LEADING:
            features = encoder(self.make_observation(encoder, leading))
            expected = [*leading, encoder.output_size]
            require(features.shape.as_list() == expected,
                     f"Observations with leading dimensions {leading} must give features of shape "
                     f"{expected}, not {features.shape.as_list()}.")
            require(features.dtype.is_floating,
                     f"Features must be floating, not {features.dtype.name}.")
            require_finite(features, "Features")

    def test_observations_do_not_mix(self) -> None:
        encoder = self.make_object_under_test()
        observation = self.make_observation(encoder, [2, 3])
        alone = encoder(tf.nest.map_structure(lambda x: x[1, 2], observation))
        require_close(encoder(observation)[1, 2], alone, "The features of one observation must "
                       "not depend on the rest of the batch.")

    def test_features_are_the_same_in_two_evaluations(self) -> None:
        encoder = self.make_object_under_test()
        observation = self.make_observation(encoder, [2, 3])
        check_no_noise(lambda: encoder(observation), "Features")

    def test_compiled_equals_eager(self) -> None:
        encoder = self.make_object_under_test()
        observation = self.make_observation(encoder, [2, 3])
        compiled = tf.function(encoder.__call__, jit_compile=True)(observation)
        require_close(compiled, encoder(observation), "Features must be the same compiled "
                       "(jit_compile=True, also at the first call) and eager.")

    def test_gradients_reach_every_variable(self) -> None:
        encoder = self.make_object_under_test()
        observation = self.make_observation(encoder, [2, 3])
        check_gradients(encoder, lambda: tf.reduce_sum(encoder(observation) ** 2))


class DistModuleContract:
    """Tests that every `DistModule` must pass.

    Attributes:
      features_size: F of the test features.
      extreme: the largest features for which densities and gradients must be finite.
    """

    features_size: int = 5
    extreme: float = 1e4

    def make_object_under_test(self) -> DistModule:
        """Returns a new decoder."""
        raise NotImplementedError(
            "Define make_object_under_test(self) to return a new DistModule.")

    def make_event(self, decoder: DistModule, leading: Sequence[int], seed: Seed) -> Nest:
        """Returns observations to score, [*leading, E]; samples of the decoder by default."""
        return decoder.dist(decoder(self.make_features(leading))).sample(seed=seed)

    def make_features(self, leading: Sequence[int]) -> Tensor:
        """Returns features [*leading, F]."""
        return tf.random.stateless_normal([*leading, self.features_size], [1, 2])

    def test_event_spec_is_of_one_observation(self) -> None:
        decoder = self.make_object_under_test()
        for spec in tf.nest.flatten(decoder.event_spec):
            require(isinstance(spec, tf.TensorSpec) and spec.shape.is_fully_defined(),
                     "event_spec must be a nest of tf.TensorSpec of one observation, with the "
                     f"shape fully known, not {spec!r}.")

    def test_shapes_with_any_leading_dimensions(self) -> None:
        decoder = self.make_object_under_test()
        for leading in _LEADING:
            params = decoder(self.make_features(leading))
            for param in tf.nest.flatten(params):
                require(param.shape[:len(leading)].as_list() == leading,
                         f"Features with leading dimensions {leading} must give parameters that "
                         f"have them too, not {param.shape}.")
            dist = decoder.dist(params)
            require(dist.batch_shape.as_list() == leading,
                     f"dist must have batch shape {leading}, not {dist.batch_shape}: wrap it in "
                     "tfd.Independent so that the event is one observation.")
            self._check_samples(decoder, dist.sample(seed=seed(1)), leading)
            event = self.make_event(decoder, leading, seed(2))
            self._check_log_prob(dist.log_prob(event), leading)

    def test_events_may_have_sample_dimensions(self) -> None:
        decoder = self.make_object_under_test()
        dist = decoder.dist(decoder(self.make_features([2, 3])))
        samples = dist.sample(4, seed=seed(1))
        self._check_samples(decoder, samples, [4, 2, 3])
        self._check_log_prob(dist.log_prob(samples), [4, 2, 3])

    def test_observations_do_not_mix(self) -> None:
        decoder = self.make_object_under_test()
        features = self.make_features([2, 3])
        event = self.make_event(decoder, [2, 3], seed(1))
        log_prob = decoder.distribution(features).log_prob(event)
        alone = decoder.dist(decoder(features[1, 2])).log_prob(
            tf.nest.map_structure(lambda x: x[1, 2], event))
        require_close(log_prob[1, 2], alone, "The log-density of one observation must not depend "
                       "on the rest of the batch.")

    def test_samples_follow_the_seed(self) -> None:
        decoder = self.make_object_under_test()
        dist = decoder.dist(decoder(self.make_features([2, 3])))
        for one, other in pairs(dist.sample(seed=seed(1)), dist.sample(seed=seed(1))):
            require(np.array_equal(one, other), "sample with the same seed must give the same "
                     "observations: draw from stateless generators only.")

    def test_samples_follow_the_density(self) -> None:
        decoder, count = self.make_object_under_test(), 2000
        features = tf.repeat(self.make_features([1]), count, 0)
        with tf.GradientTape() as tape:
            tape.watch(features)
            dist = decoder.distribution(features)
            samples = tf.nest.map_structure(tf.stop_gradient, dist.sample(seed=seed(1)))
            log_prob = dist.log_prob(samples)
        both = pairs(samples, dist.sample(seed=seed(2)))
        require(not any(tf.size(one) for one, _ in both)
                or not all(np.array_equal(one, other) for one, other in both),
                f"sample must give other observations for another seed, but gave the same {count}: "
                "draw from the given seed.")
        score = tape.gradient(log_prob, features)
        if score is None:
            raise unittest.SkipTest("the distribution does not depend on the features")
        score = score.numpy().astype(np.float64)
        mean, error = score.mean(0), score.std(0) / np.sqrt(count)
        # The constant is for rare events, which may be in none of the samples.
        require(bool(np.all(np.abs(mean) < 6 * error + 0.01)), "The gradient of log_prob(sample) "
                f"by the features must be 0 on average, but is {mean} (+- {error}): draw every "
                "observation for itself, and score it by the normalised density.")

    def test_parameters_are_the_same_in_two_evaluations(self) -> None:
        decoder = self.make_object_under_test()
        features = self.make_features([2, 3])
        check_no_noise(lambda: decoder(features), "Parameters")

    def test_kl_of_equal_distributions_is_zero(self) -> None:
        decoder = self.make_object_under_test()
        check_kl_with_itself(decoder.distribution(self.make_features([2, 3])), "the distribution")

    def test_compiled_equals_eager(self) -> None:
        decoder = self.make_object_under_test()
        features = self.make_features([2, 3])
        event = self.make_event(self.make_object_under_test(), [2, 3], seed(1))

        @tf.function(jit_compile=True)
        def run(seed: Seed) -> tuple[Tensor, Nest]:
            dist = decoder.distribution(features)
            return dist.log_prob(event), dist.sample(seed=seed)

        log_prob, samples = run(seed(2))
        require_close(log_prob, decoder.distribution(features).log_prob(event), "Log-densities "
                       "must be the same compiled (jit_compile=True) and eager.")
        self._check_samples(decoder, samples, [2, 3])

    def test_float64_features_give_float64_densities(self) -> None:
        decoder = self.make_object_under_test()
        dist = decoder.dist(decoder(tf.cast(self.make_features([3]), tf.float64)))
        log_prob = dist.log_prob(dist.sample(seed=seed(1)))
        require(log_prob.dtype == tf.float64, "float64 features must give float64 log-densities, "
                 f"not {log_prob.dtype.name}.")

    def test_gradients_reach_every_variable(self) -> None:
        decoder = self.make_object_under_test()
        features = self.make_features([2, 3])
        event = self.make_event(decoder, [2, 3], seed(1))
        check_gradients(decoder, lambda: tf.reduce_sum(
            decoder.distribution(features).log_prob(event)))

    def test_extreme_features_give_finite_densities_and_gradients(self) -> None:
        decoder = self.make_object_under_test()
        event = self.make_event(decoder, [2, 3], seed(1))
        for size in (-self.extreme, self.extreme):
            features = tf.fill([2, 3, self.features_size], size)

            def loss(features: Tensor = features) -> Tensor:
                return tf.reduce_sum(decoder.distribution(features).log_prob(event))

            check_gradients(decoder, loss, f" where features are {size}")

    def test_temperature_one_changes_nothing(self) -> None:
        decoder = self.make_object_under_test()
        params = decoder(self.make_features([2, 3]))
        event = self.make_event(decoder, [2, 3], seed(1))
        temperatures = (1.0, tf.constant(1.0)) if _has_temper(decoder, params) else (1.0,)
        for temperature in temperatures:
            tempered = decoder.temper(params, temperature)
            require_close(decoder.dist(tempered).log_prob(event),
                           decoder.dist(params).log_prob(event),
                           "temper must change nothing at temperature 1.")

    def test_temperature_sharpens_and_flattens(self) -> None:
        decoder = self.make_object_under_test()
        params = decoder(self.make_features([3]))
        if not _has_temper(decoder, params):
            raise unittest.SkipTest("the decoder has no temper")
        surprise = []
        for temperature in (0.3, 1.0, 3.0):
            dist = decoder.dist(decoder.temper(params, temperature))
            surprise.append(-dist.log_prob(dist.sample(400, seed=seed(1))).numpy())
        for cold, hot in itertools.pairwise(surprise):
            error = np.sqrt((cold.var() + hot.var()) / cold.size)
            require(cold.mean() <= hot.mean() + 4 * error + 1e-4,
                     "A lower temperature must not make a distribution more random: entropy "
                     f"{cold.mean():.3f} became {hot.mean():.3f} when it rose (+- {error:.3f}).")

    def test_temperature_must_be_positive(self) -> None:
        decoder = self.make_object_under_test()
        params = decoder(self.make_features([3]))
        for temperature in (0.0, -1.0):
            try:
                decoder.temper(params, temperature)
            except ValueError:
                continue
            require(False, f"temper must raise ValueError at temperature {temperature}: begin it "
                    "with dist_module.check_temperature.")

    def _check_samples(self, decoder: DistModule, samples: Nest, leading: list[int]) -> None:
        tf.nest.assert_same_structure(decoder.event_spec, samples)
        for spec, sample in pairs(decoder.event_spec, samples):
            expected = [*leading, *spec.shape]
            require(sample.shape.as_list() == expected and sample.dtype == spec.dtype,
                     f"Samples must be {spec.dtype.name} {expected} as event_spec says, not "
                     f"{sample.dtype.name} {sample.shape.as_list()}.")

    def _check_log_prob(self, log_prob: Tensor, leading: list[int]) -> None:
        require(log_prob.shape.as_list() == leading,
                 f"log_prob must sum over the event and have shape {leading}, not "
                 f"{log_prob.shape.as_list()}.")
        require_finite(log_prob, "log_prob of possible observations")
