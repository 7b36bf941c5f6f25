# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0

"""Contracts as tests: mix one into a test class and say what is tested.

    class TestCounts(testing.DistModuleContract):
        def make_object_under_test(self):
            return Counts()

is a whole test of a decoder of one's own, for pytest as it stands and for unittest beside
`unittest.TestCase`. Failures are sentences.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.agent import Agent
from vaeseq.bounds import ELBO
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import CoreState, GenCore, Generated, GenState, Inferred, VAECore

__all__ = ["AgentContract", "DistModuleContract", "EncoderContract", "VAECoreContract"]

_LEADING: tuple[list[int], ...] = ([], [3], [2, 3], [2, 2, 3])


class EncoderContract:
    """What every `Encoder` must do."""

    def make_object_under_test(self) -> Encoder:
        """A new encoder."""
        raise NotImplementedError("Define make_object_under_test(self) to return a new Encoder.")

    def make_observation(self, encoder: Encoder, leading: Sequence[int]) -> Nest:
        """Observations [*leading, E]; by default of the encoder's `input_spec`.

        Floats are normal, integers and bools are 0 or 1.
        """
        return _random_nest(encoder.input_spec, leading)

    def test_output_size_is_known_before_the_first_call(self) -> None:
        encoder = self.make_object_under_test()
        before = encoder.output_size
        _require(isinstance(before, int) and before >= 0,
                 f"output_size must be an int, known before the first call, not {before!r}.")
        encoder(self.make_observation(encoder, [2]))
        _require(encoder.output_size == before, "output_size must not change with the first call: "
                 f"it was {before} and became {encoder.output_size}.")

    def test_features_have_the_leading_dimensions(self) -> None:
        encoder = self.make_object_under_test()
        for leading in _LEADING:
            features = encoder(self.make_observation(encoder, leading))
            expected = [*leading, encoder.output_size]
            _require(features.shape.as_list() == expected,
                     f"Observations with leading dimensions {leading} must give features of shape "
                     f"{expected}, not {features.shape.as_list()}.")
            _require(features.dtype.is_floating,
                     f"Features must be floating, not {features.dtype.name}.")
            _require_finite(features, "Features")

    def test_observations_do_not_mix(self) -> None:
        encoder = self.make_object_under_test()
        observation = self.make_observation(encoder, [2, 3])
        alone = encoder(tf.nest.map_structure(lambda x: x[1, 2], observation))
        _require_close(encoder(observation)[1, 2], alone, "The features of one observation must "
                       "not depend on the rest of the batch.")

    def test_compiled_equals_eager(self) -> None:
        encoder = self.make_object_under_test()
        observation = self.make_observation(encoder, [2, 3])
        compiled = tf.function(encoder.__call__, jit_compile=True)(observation)
        _require_close(compiled, encoder(observation), "Features must be the same compiled "
                       "(jit_compile=True, also at the first call) and eager.")

    def test_gradients_reach_every_variable(self) -> None:
        encoder = self.make_object_under_test()
        observation = self.make_observation(encoder, [2, 3])
        _check_gradients(encoder, lambda: tf.reduce_sum(encoder(observation) ** 2))


class DistModuleContract:
    """What every `DistModule` must do.

    Attributes:
      features_size: F of the features the tests give.
      extreme: features are tried up to this size, where densities and gradients must be finite.
    """

    features_size: int = 5
    extreme: float = 1e4

    def make_object_under_test(self) -> DistModule:
        """A new decoder."""
        raise NotImplementedError(
            "Define make_object_under_test(self) to return a new DistModule.")

    def make_event(self, decoder: DistModule, leading: Sequence[int], seed: Seed) -> Nest:
        """Observations [*leading, E] to score; by default drawn from the decoder itself."""
        return decoder.dist(decoder(self.make_features(leading))).sample(seed=seed)

    def make_features(self, leading: Sequence[int]) -> Tensor:
        """Features [*leading, F]."""
        return tf.random.stateless_normal([*leading, self.features_size], [1, 2])

    def test_event_spec_is_of_one_observation(self) -> None:
        decoder = self.make_object_under_test()
        for spec in tf.nest.flatten(decoder.event_spec):
            _require(isinstance(spec, tf.TensorSpec) and spec.shape.is_fully_defined(),
                     "event_spec must be a nest of tf.TensorSpec of one observation, with the "
                     f"shape fully known, not {spec!r}.")

    def test_shapes_with_any_leading_dimensions(self) -> None:
        decoder = self.make_object_under_test()
        for leading in _LEADING:
            params = decoder(self.make_features(leading))
            for param in tf.nest.flatten(params):
                _require(param.shape[:len(leading)].as_list() == leading,
                         f"Features with leading dimensions {leading} must give parameters that "
                         f"have them too, not {param.shape}.")
            dist = decoder.dist(params)
            _require(dist.batch_shape.as_list() == leading,
                     f"dist must have batch shape {leading}, not {dist.batch_shape}: wrap it in "
                     "tfd.Independent so that the event is one observation.")
            self._check_samples(decoder, dist.sample(seed=_seed(1)), leading)
            event = self.make_event(decoder, leading, _seed(2))
            self._check_log_prob(dist.log_prob(event), leading)

    def test_events_may_have_sample_dimensions(self) -> None:
        decoder = self.make_object_under_test()
        dist = decoder.dist(decoder(self.make_features([2, 3])))
        samples = dist.sample(4, seed=_seed(1))
        self._check_samples(decoder, samples, [4, 2, 3])
        self._check_log_prob(dist.log_prob(samples), [4, 2, 3])

    def test_observations_do_not_mix(self) -> None:
        decoder = self.make_object_under_test()
        features = self.make_features([2, 3])
        event = self.make_event(decoder, [2, 3], _seed(1))
        log_prob = decoder.dist(decoder(features)).log_prob(event)
        alone = decoder.dist(decoder(features[1, 2])).log_prob(
            tf.nest.map_structure(lambda x: x[1, 2], event))
        _require_close(log_prob[1, 2], alone, "The log-density of one observation must not depend "
                       "on the rest of the batch.")

    def test_samples_follow_the_seed(self) -> None:
        decoder = self.make_object_under_test()
        dist = decoder.dist(decoder(self.make_features([2, 3])))
        for one, other in _pairs(dist.sample(seed=_seed(1)), dist.sample(seed=_seed(1))):
            _require(np.array_equal(one, other), "sample with the same seed must give the same "
                     "observations: draw from stateless generators only.")

    def test_compiled_equals_eager(self) -> None:
        decoder = self.make_object_under_test()
        features = self.make_features([2, 3])
        event = self.make_event(self.make_object_under_test(), [2, 3], _seed(1))

        @tf.function(jit_compile=True)
        def run(seed: Seed) -> tuple[Tensor, Nest]:
            dist = decoder.dist(decoder(features))
            return dist.log_prob(event), dist.sample(seed=seed)

        log_prob, samples = run(_seed(2))
        _require_close(log_prob, decoder.dist(decoder(features)).log_prob(event), "Log-densities "
                       "must be the same compiled (jit_compile=True) and eager.")
        self._check_samples(decoder, samples, [2, 3])

    def test_float64_features_give_float64_densities(self) -> None:
        decoder = self.make_object_under_test()
        dist = decoder.dist(decoder(tf.cast(self.make_features([3]), tf.float64)))
        log_prob = dist.log_prob(dist.sample(seed=_seed(1)))
        _require(log_prob.dtype == tf.float64, "float64 features must give float64 log-densities, "
                 f"not {log_prob.dtype.name}.")

    def test_gradients_reach_every_variable(self) -> None:
        decoder = self.make_object_under_test()
        features = self.make_features([2, 3])
        event = self.make_event(decoder, [2, 3], _seed(1))
        _check_gradients(decoder, lambda: tf.reduce_sum(
            decoder.dist(decoder(features)).log_prob(event)))

    def test_extreme_features_give_finite_densities_and_gradients(self) -> None:
        decoder = self.make_object_under_test()
        event = self.make_event(decoder, [2, 3], _seed(1))
        for size in (-self.extreme, self.extreme):
            features = tf.fill([2, 3, self.features_size], size)

            def loss(features: Tensor = features) -> Tensor:
                return tf.reduce_sum(decoder.dist(decoder(features)).log_prob(event))

            _check_gradients(decoder, loss, f" where features are {size}")

    def test_temperature_one_changes_nothing(self) -> None:
        decoder = self.make_object_under_test()
        params = decoder(self.make_features([2, 3]))
        event = self.make_event(decoder, [2, 3], _seed(1))
        for temperature in (1.0, tf.constant(1.0)):
            tempered = decoder.temper(params, temperature)
            _require_close(decoder.dist(tempered).log_prob(event),
                           decoder.dist(params).log_prob(event),
                           "temper must change nothing at temperature 1.")

    def test_temperature_sharpens_and_flattens(self) -> None:
        decoder = self.make_object_under_test()
        params = decoder(self.make_features([3]))
        surprise = []
        for temperature in (0.3, 1.0, 3.0):
            dist = decoder.dist(decoder.temper(params, temperature))
            surprise.append(-dist.log_prob(dist.sample(400, seed=_seed(1))).numpy())
        for cold, hot in itertools.pairwise(surprise):
            error = np.sqrt((cold.var() + hot.var()) / cold.size)
            _require(cold.mean() <= hot.mean() + 4 * error + 1e-4,
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
            _require(False, f"temper must raise ValueError at temperature {temperature}: define "
                     "_temper and leave the check to DistModule.temper.")

    def _check_samples(self, decoder: DistModule, samples: Nest, leading: list[int]) -> None:
        tf.nest.assert_same_structure(decoder.event_spec, samples)
        for spec, sample in _pairs(decoder.event_spec, samples):
            expected = [*leading, *spec.shape]
            _require(sample.shape.as_list() == expected and sample.dtype == spec.dtype,
                     f"Samples must be {spec.dtype.name} {expected} as event_spec says, not "
                     f"{sample.dtype.name} {sample.shape.as_list()}.")

    def _check_log_prob(self, log_prob: Tensor, leading: list[int]) -> None:
        _require(log_prob.shape.as_list() == leading,
                 f"log_prob must sum over the event and have shape {leading}, not "
                 f"{log_prob.shape.as_list()}.")
        _require_finite(log_prob, "log_prob of possible observations")


class AgentContract:
    """What every `Agent` must do.

    Attributes:
      deterministic: whether contexts follow from observations and inputs alone. Of agents that act
        at random it is only asked that a whole sequence equals its steps, each with its own seed
        (see `seeds.per_step`).
      batch_size: B of the sequences the tests make.
      num_steps: T.
    """

    deterministic: bool = True
    batch_size: int = 3
    num_steps: int = 5

    def make_object_under_test(self) -> Agent:
        """A new agent."""
        raise NotImplementedError("Define make_object_under_test(self) to return a new Agent.")

    def make_observations(self, leading: Sequence[int]) -> Nest:
        """Observations [*leading, E]."""
        raise NotImplementedError(
            "Define make_observations(self, leading) to return a nest of [*leading, E].")

    def make_inputs(self, leading: Sequence[int]) -> Nest:
        """Inputs from outside, a nest of [*leading, *]; by default none."""
        del leading
        return ()

    def test_shapes(self) -> None:
        agent, observed, inputs = self._made()
        state = agent.initial_state(self.batch_size)
        self._check_context(agent, agent.context(state, _at(inputs, 0), seed=_seed(1)))
        context = agent.context(state, _at(inputs, 0), seed=_seed(1))
        _require_like(agent.observe(_at(observed, 0), context, state), state,
                      "observe must return a state like the one it was given.")
        contexts, after = agent.contexts(observed, state, inputs, seed=_seed(1))
        expected = [self.batch_size, self.num_steps, agent.context_size]
        _require(contexts.shape.as_list() == expected,
                 f"contexts must have shape {expected}, not {contexts.shape.as_list()}.")
        _require_like(after, state, "contexts must return a state like the one it was given.")

    def test_finished_is_a_bool_for_each_row(self) -> None:
        agent, observed, inputs = self._made()
        state = agent.initial_state(self.batch_size)
        for after in (state, agent.contexts(observed, state, inputs, seed=_seed(1))[1]):
            finished = agent.finished(after)
            _require(finished.dtype == tf.bool and finished.shape.as_list() == [self.batch_size],
                     f"finished must be bool [{self.batch_size}], not {finished.dtype.name} "
                     f"{finished.shape.as_list()}.")

    def test_whole_sequence_equals_step_by_step(self) -> None:
        agent, observed, inputs = self._made()
        state = agent.initial_state(self.batch_size)
        step_seeds = seeds.per_step(_seed(1), self.num_steps)[0]
        stepped, after_each = [], [state]
        for t in range(self.num_steps):
            context = agent.context(after_each[-1], _at(inputs, t), seed=step_seeds[t])
            stepped.append(context)
            after_each.append(agent.observe(_at(observed, t), context, after_each[-1]))
        contexts, after = agent.contexts(observed, state, inputs, seed=_seed(1))
        _require_close(contexts, tf.stack(stepped, 1), "The contexts of a whole sequence must "
                       "equal those of observing it step by step.")
        _require_all_close(after, after_each[-1], "The state after a whole sequence must equal "
                           "that of observing it step by step.")
        lengths = self._lengths()
        contexts, after = agent.contexts(observed, state, inputs, lengths, seed=_seed(1))
        for row, length in enumerate(lengths.numpy()):
            _require_close(contexts[row, :length], tf.stack(stepped, 1)[row, :length], "Contexts "
                           "up to a row's length must not depend on the length.")
            _require_all_close(_at(after, row, 0), _at(after_each[length], row, 0), "The state "
                               f"after a row of length {length} must be that after its last valid "
                               "step.")

    def test_whole_sequence_equals_two_parts(self) -> None:
        agent, observed, inputs = self._made()
        state = agent.initial_state(self.batch_size)
        whole, after = agent.contexts(observed, state, inputs, seed=_seed(1))
        parts, cut = [], self.num_steps // 2
        for part in (slice(None, cut), slice(cut, None)):
            contexts, state = agent.contexts(
                _at(observed, part), state, _at(inputs, part), seed=_seed(1))
            parts.append(contexts)
        if not self.deterministic:
            return
        _require_close(tf.concat(parts, 1), whole, "A sequence cut in two, with the state carried, "
                       "must have the contexts of the whole.")
        _require_all_close(state, after, "A sequence cut in two must end in the state of the whole.")

    def test_compiled_equals_eager(self) -> None:
        agent, observed, inputs = self._made()

        def run() -> tuple[Tensor, Nest]:
            return agent.contexts(observed, agent.initial_state(self.batch_size), inputs,
                                  self._lengths(), seed=_seed(1))

        if not self.deterministic:
            return
        for one, other in _pairs(tf.function(run, jit_compile=True)(), run()):
            _require_close(one, other, "contexts must be the same compiled and eager.")

    def _made(self) -> tuple[Agent, Nest, Nest]:
        leading = [self.batch_size, self.num_steps]
        return (self.make_object_under_test(), self.make_observations(leading),
                self.make_inputs(leading))

    def _lengths(self) -> Tensor:
        return tf.constant(np.linspace(self.num_steps, 0, self.batch_size).astype(np.int32))

    def _check_context(self, agent: Agent, context: Tensor) -> None:
        expected = [self.batch_size, agent.context_size]
        _require(context.dtype.is_floating and context.shape.as_list() == expected,
                 f"context must be floating {expected}, not {context.dtype.name} "
                 f"{context.shape.as_list()}.")


class _Path(NamedTuple):
    """What training computes for given latents, [B, T, ...]."""

    log_prob: Tensor
    latent_log_prob: Tensor
    posterior_log_prob: Tensor
    outputs: Tensor
    state: CoreState


class VAECoreContract:
    """What every `VAECore` must do.

    Attributes:
      context_size: F of the contexts the tests give.
      batch_size: B of the sequences the tests make.
      num_steps: T.
      forward_only: whether `summarize` sees the past only, so that the features of a sequence
        cut in two are those of the whole.
    """

    context_size: int = 3
    batch_size: int = 3
    num_steps: int = 5
    forward_only: bool = True

    def make_object_under_test(self) -> VAECore:
        """A new core."""
        raise NotImplementedError("Define make_object_under_test(self) to return a new VAECore.")

    def make_observations(self, core: VAECore, leading: Sequence[int]) -> Nest:
        """Observations [*leading, E]; by default normal floats, integers and bools of 0 and 1."""
        return _random_nest(core.decoder.event_spec, leading)

    def make_contexts(self, leading: Sequence[int]) -> Tensor:
        """Contexts [*leading, F]."""
        return tf.random.stateless_normal([*leading, self.context_size], [3, 4])

    def test_states_match_the_spec(self) -> None:
        core, contexts, observed, z = self._made()
        initial = core.initial_state(self.batch_size)
        _require_like(initial, nest.zeros(core.state_spec, self.batch_size),
                      "initial_state must have the shapes of state_spec.")
        _require_like(self._path(core, contexts, observed, z).state, initial,
                      "The state after a sequence must be like the initial one.")
        generated, state = _generate(core, contexts)
        _require_like(state.core, initial, "The state after sampling must be like the initial one.")
        _require(generated.latents.shape[-1] == core.latent_size,
                 f"latent_size is {core.latent_size}, but latents have {generated.latents.shape}.")

    def test_verbs_accept_any_leading_axes(self) -> None:
        core, contexts, observed, z = self._made()
        drives, _ = core.drive(contexts, core.initial_state(self.batch_size).drive)
        features = core.summarize(drives, observed)
        state = _random_nest(core.state_spec.latent, [self.batch_size, self.num_steps])
        given = (drives, features, state, z, observed)
        whole = _verbs(core, *given)
        for rows in ((slice(None), 1), (2, 3)):
            cut = tf.nest.map_structure(lambda x, rows=rows: x[rows], whole)
            alone = _verbs(core, *tf.nest.map_structure(lambda x, rows=rows: x[rows], given))
            _require_all_close(alone, cut, "advance, prior, posterior, transition and emit must "
                               f"give the same for {3 - len(np.shape(rows)) } leading axes, "
                               "pointwise.")

    def test_infer_equals_the_loop(self) -> None:
        core, contexts, observed, z = self._made()
        for lengths in (None, self._lengths()):
            own = self._path(core, contexts, observed, z, lengths)
            loop = self._path(core, contexts, observed, z, lengths, infer=VAECore.infer)
            own, loop = (nest.mask_time(path[:-1], lengths) + (path.state,) for path in (own, loop))
            _require_all_close(own, loop, "infer must equal VAECore.infer, the loop over steps.")

    def test_replay(self) -> None:
        core, contexts, *_ = self._made()
        generated, state = _generate(core, contexts)
        path = self._path(core, contexts, generated.observed, generated.latents)
        _require_close(path.log_prob, generated.log_prob, "The log-density of generated "
                       "observations must be the one that training computes for them.")
        _require_close(path.latent_log_prob, generated.latent_log_prob, "The log-density of "
                       "generated latents must be the one that training computes for them.")
        _require_all_close(path.state, state.core, "Generating must end in the state that "
                           "training computes for the same sequence.")

    def test_whole_sequence_equals_two_parts(self) -> None:
        core, contexts, observed, z = self._made()
        whole = self._path(core, contexts, observed, z)
        state, parts, cut = core.initial_state(self.batch_size), [], self.num_steps // 2
        for part in (slice(None, cut), slice(cut, None)):
            path = self._path(core, *(_at(x, part) for x in (contexts, observed, z)), state=state)
            state = path.state
            parts.append(path)
        for name in _Path._fields[:-1]:
            if name == "posterior_log_prob" and not self.forward_only:
                continue
            joined = tf.concat([getattr(part, name) for part in parts], 1)
            _require_close(joined, getattr(whole, name), f"A sequence cut in two, with the state "
                           f"carried, must have the {name} of the whole.")
        _require_all_close(state, whole.state, "A sequence cut in two must end in the state of the "
                           "whole.")

    def test_padding_changes_nothing(self) -> None:
        core, contexts, observed, z = self._made()
        lengths = self._lengths()
        padded = self._path(core, *nest.mask_time((contexts, observed), lengths), z, lengths)
        for row, length in enumerate(lengths.numpy()):
            if length:
                one = (_at(_at(x, slice(row, row + 1), 0), slice(None, length))
                       for x in (contexts, observed, z))
                alone = self._path(core, *one)
                _require_all_close(
                    tuple(_at(x, row, 0)[:length] for x in padded[:-1]),
                    tuple(x[0] for x in alone[:-1]), "A padded row must give what it gives alone.")
                _require_all_close(_at(padded.state, row, 0), _at(alone.state, 0, 0),
                                   "A padded row must end in the state in which it ends alone.")

    def test_what_stands_in_padding_reaches_no_gradient(self) -> None:
        core, contexts, observed, _ = self._made()
        lengths = self._lengths()
        results = [_elbo(core, *padding, lengths) for padding in (
            nest.mask_time((contexts, observed), lengths),
            _spoiled((contexts, observed), lengths))]
        for one, other in _pairs(*results):
            _require(np.array_equal(one, other), "What stands in padding, NaN say, must not reach "
                     "the bound, its gradients or the next state.")

    def test_batch_order_changes_nothing(self) -> None:
        core, contexts, observed, z = self._made()
        order, lengths = np.arange(self.batch_size)[::-1].copy(), self._lengths()
        path = self._path(core, contexts, observed, z, lengths)
        turned = self._path(core, *(_take(x, order) for x in (contexts, observed, z)),
                            tf.gather(lengths, order))
        _require_all_close(nest.mask_time(_take(turned[:-1], order), lengths),
                           nest.mask_time(path[:-1], lengths),
                           "Rows must not depend on their place in the batch.")
        _require_all_close(_take(turned.state, order), path.state,
                           "States must not depend on their place in the batch.")

    def test_gradients_reach_every_variable(self) -> None:
        core, contexts, observed, _ = self._made()

        def loss() -> Tensor:
            bound = ELBO(monte_carlo=True)
            return -tf.reduce_sum(bound(
                core, contexts, observed, bound.initial_state(core, self.batch_size),
                seed=_seed(1)).objective)

        _check_gradients(core, loss)

    def test_compiled_equals_eager(self) -> None:
        core, contexts, observed, z = self._made()

        def run() -> tuple[_Path, list[Tensor]]:
            return (self._path(core, contexts, observed, z, self._lengths()),
                    self._gradients(core, contexts, observed, z))

        @tf.function(jit_compile=True)
        def compiled() -> tuple:
            generated, _ = _generate(core, contexts)
            replayed = self._path(core, contexts, generated.observed, generated.latents)
            return run(), generated.log_prob, replayed.log_prob

        results, log_prob, replayed = compiled()
        for one, other in _pairs(results, run()):
            _require_close(one, other, "Densities, states and gradients must be the same compiled "
                           "(jit_compile=True) and eager.", tolerance=1e-3)
        _require_close(log_prob, replayed, "The log-density of observations that were generated "
                       "compiled must be the one that training computes for them.")

    def _gradients(
        self, core: VAECore, contexts: Tensor, observed: Nest, z: Tensor
    ) -> list[Tensor]:
        with tf.GradientTape() as tape:
            path = self._path(core, contexts, observed, z)
            loss = tf.reduce_sum(path.log_prob + path.latent_log_prob - path.posterior_log_prob)
        gradients = tape.gradient(loss, core.trainable_variables,
                                  unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _made(self) -> tuple[VAECore, Tensor, Nest, Tensor]:
        """A core, contexts, observations and latents; all variables exist."""
        core, leading = self.make_object_under_test(), [self.batch_size, self.num_steps]
        contexts = self.make_contexts(leading)
        observed = self.make_observations(core, leading)
        _elbo(core, contexts, observed, self._lengths())
        z = tf.random.stateless_normal([*leading, core.latent_size], _seed(5))
        return core, contexts, observed, z

    def _lengths(self) -> Tensor:
        return tf.constant(np.linspace(self.num_steps, 0, self.batch_size).astype(np.int32))

    def _path(
        self, core: VAECore, contexts: Tensor, observed: Nest, z: Tensor,
        lengths: Tensor | None = None, *, state: CoreState | None = None,
        infer: Callable[..., Inferred] | None = None,
    ) -> _Path:
        """The training path with the latents given instead of drawn."""
        state = core.initial_state(nest.leading_dim(contexts)) if state is None else state
        drives, drive_state = core.drive(contexts, state.drive, lengths)
        features = core.summarize(drives, observed, lengths)
        inferred = (infer or type(core).infer)(
            _with_given_latents(core), drives, (z, features), state.latent, lengths, seed=_seed(1))
        decoded = core.decoder.dist(core.decoder(inferred.outputs))
        return _Path(decoded.log_prob(observed), inferred.prior.log_prob(z),
                     inferred.posterior.log_prob(z), inferred.outputs,
                     CoreState(drive_state, inferred.state))


class _GivenContexts(Agent):
    """Its contexts are its inputs."""

    def __init__(self, context_size: int) -> None:
        super().__init__(name="given_contexts")
        self._context_size = context_size

    @property
    def context_size(self) -> int:
        return self._context_size

    def initial_state(self, batch_size: int | Tensor) -> Nest:
        return tf.zeros([batch_size, 0])

    def context(self, state: Nest, inputs: Nest = (), *, seed: Seed) -> Tensor:
        return inputs

    def observe(self, observation: Nest, context: Tensor, state: Nest) -> Nest:
        return state


class _Given:
    """A posterior whose sample is given."""

    def __init__(self, z: Tensor, posterior: Any) -> None:
        self._z, self._posterior = z, posterior

    def sample(self, *, seed: Seed) -> Tensor:
        del seed
        return self._z

    def __getattr__(self, name: str) -> Any:
        return getattr(self._posterior, name)


def _with_given_latents(core: VAECore) -> VAECore:
    """The same core, but features are pairs of latents and features, and those are "drawn"."""
    twin = copy.copy(core)
    twin.posterior = lambda h, given: _Given(given[0], core.posterior(h, given[1]))
    return twin


def _generate(core: VAECore, contexts: Tensor) -> tuple[Generated, GenState]:
    batch_size, num_steps, context_size = contexts.shape
    gen_core = GenCore(_GivenContexts(context_size), core)
    return gen_core.generate(
        num_steps, gen_core.initial_state(batch_size), contexts, seed=_seed(9))


def _verbs(
    core: VAECore, drive: Nest, feature: Nest, state: Nest, z: Tensor, x: Nest
) -> tuple[Nest, ...]:
    """What the methods of one step give, as tensors."""
    h = core.advance(drive, state)
    outputs, after = core.transition(h, z)
    p_x, emitted = core.emit(h, z)
    return (core.prior(h).log_prob(z), core.posterior(h, feature).log_prob(z), outputs, after,
            p_x.log_prob(x), emitted)


def _elbo(core: VAECore, contexts: Tensor, observed: Nest, lengths: Tensor) -> list[Tensor]:
    """The bound, its gradients and the next state."""
    bound = ELBO(2)
    with tf.GradientTape() as tape:
        result = bound(core, contexts, observed, bound.initial_state(core, contexts.shape[0]),
                       lengths, seed=_seed(1))
        loss = tf.reduce_sum(result.objective)
    gradients = tape.gradient(loss, core.trainable_variables,
                              unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [result.increments, *map(tf.convert_to_tensor, gradients),
            *tf.nest.flatten(result.state)]


def _spoiled(tensors: Nest, lengths: Tensor) -> Nest:
    """NaN in the padding of floats, 1 in that of the others."""
    def spoil(x: Tensor) -> Tensor:
        wrong = tf.fill(tf.shape(x), tf.cast(np.nan if x.dtype.is_floating else 1, x.dtype))
        return nest.where(nest.mask_from_lengths(lengths, x.shape[1]), x, wrong)
    return tf.nest.map_structure(spoil, tensors)


def _at(tensors: Nest, index: int | slice, axis: int = 1) -> Nest:
    """One step or a part of [B, T, ...], or (axis 0) one row or some of [B, ...]."""
    where = (slice(None),) * axis + (index,)
    return tf.nest.map_structure(lambda x: x[where], tensors)


def _take(tensors: Nest, order: np.ndarray) -> Nest:
    return tf.nest.map_structure(lambda x: tf.gather(x, order), tensors)


def _seed(number: int) -> Seed:
    return tf.constant([0, number], tf.int32)


def _random_nest(specs: Nest, leading: Sequence[int]) -> Nest:
    """Random tensors [*leading, *spec.shape]: normal floats, integers and bools of 0 and 1."""
    def draw(spec: tf.TensorSpec) -> Tensor:
        shape = [*leading, *spec.shape]
        if spec.dtype.is_floating:
            return tf.random.stateless_normal(shape, _seed(1), dtype=spec.dtype)
        bits = tf.random.stateless_uniform(shape, _seed(1), 0, 2, tf.int32)
        return tf.cast(bits, spec.dtype)
    return tf.nest.map_structure(draw, specs)


def _pairs(one: Nest, other: Nest) -> list[tuple]:
    return list(zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _require_finite(tensor: Tensor, what: str) -> None:
    _require(bool(tf.reduce_all(tf.math.is_finite(tensor))),
             f"{what} must be finite, got {tensor.numpy()}.")


def _require_close(one: Tensor, other: Tensor, message: str, tolerance: float = 1e-4) -> None:
    one, other = (np.asarray(x, np.float64) for x in (one, other))
    difference = np.abs(one - other)
    scale = 1.0 + np.abs(other)
    _require(bool(np.all(difference <= tolerance * scale)),
             f"{message} The largest difference is {np.max(difference, initial=0.0)}.")


def _require_all_close(one: Nest, other: Nest, message: str) -> None:
    for a, b in _pairs(one, other):
        _require_close(a, b, message)


def _require_like(one: Nest, other: Nest, message: str) -> None:
    tf.nest.assert_same_structure(other, one)
    for a, b in _pairs(one, other):
        _require(a.dtype == b.dtype and a.shape.as_list() == b.shape.as_list(),
                 f"{message} It is {a.dtype.name} {a.shape.as_list()} instead of {b.dtype.name} "
                 f"{b.shape.as_list()}.")


def _check_gradients(module: tf.Module, loss: Callable[[], Tensor], where: str = "") -> None:
    """Every trainable variable gets a gradient, and all of it is finite."""
    loss()  # Creates the variables.
    with tf.GradientTape() as tape:
        value = loss()
    _require_finite(value, f"The loss{where}")
    variables = module.trainable_variables
    for variable, gradient in zip(
            variables, tape.gradient(value, variables), strict=True):
        _require(gradient is not None, f"Variable {variable.name} gets no gradient{where}.")
        _require_finite(tf.convert_to_tensor(gradient),
                        f"The gradient of {variable.name}{where}")
