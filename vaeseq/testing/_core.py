# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of cores."""

from __future__ import annotations

import unittest
import weakref
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.bounds import ELBO
from vaeseq.testing._checks import (
    at,
    changed,
    check_gradients,
    check_kl_with_itself,
    check_no_noise,
    check_standardised,
    fill_padding,
    pairs,
    random_nest,
    require,
    require_all_close,
    require_close,
    require_like,
    seed,
    take,
)
from vaeseq.testing._paths import Path, elbo, generate, one_step, with_fixed_latents
from vaeseq.types import Nest, Tensor
from vaeseq.vae import CoreState, Inferred, VAECore

_COPIES = 100  # of each row, for the moments of latents

# The ELBO of the test sequences for each core and contract: several tests compare with it.
_ELBOS: weakref.WeakKeyDictionary[VAECore, dict[type, list[Tensor]]] = (
    weakref.WeakKeyDictionary())


class VAECoreContract:
    """Tests that every `VAECore` must pass.

    Attributes:
      context_size: F of the test contexts.
      batch_size: B of the test sequences.
      num_steps: T of the test sequences.
      forward_only: whether the features of `encode_observed` depend on no later step (a filtering
        posterior), so that a sequence in two parts has the features of the whole.
      once_per_sequence: whether the latent of the first step is that of the whole sequence, and
        those of later steps are noise.
    """

    context_size: int = 3
    batch_size: int = 3
    num_steps: int = 5
    forward_only: bool = True
    once_per_sequence: bool = False

    def make_object_under_test(self) -> VAECore:
        """Returns a core; the same one for several tests makes them faster."""
        raise NotImplementedError("Define make_object_under_test(self) to return a new VAECore.")

    def make_observations(self, core: VAECore, leading: Sequence[int]) -> Nest:
        """Returns observations, a nest of [*leading, E]: normal floats, other dtypes 0 and 1."""
        return random_nest(core.decoder.event_spec, leading)

    def make_contexts(self, leading: Sequence[int]) -> Tensor:
        """Returns contexts [*leading, F]."""
        return tf.random.stateless_normal([*leading, self.context_size], [3, 4])

    def test_states_match_the_spec(self) -> None:
        core, contexts, observed, z = self._make_case()
        initial = core.initial_state(self.batch_size)
        require_like(initial, nest.zeros(core.state_spec, self.batch_size),
                      "initial_state must have the shapes of state_spec.")
        require_like(self._path(core, contexts, observed, z).state, initial,
                      "The state after a sequence must be like the initial one.")
        generated, state = generate(core, contexts)
        require_like(state.core, initial, "The state after sampling must be like the initial one.")
        require(generated.latents.shape[-1] == core.latent_size,
                 f"latent_size is {core.latent_size}, but latents have {generated.latents.shape}.")

    def test_one_step_accepts_any_leading_axes(self) -> None:
        core, contexts, observed, z = self._make_case()
        context_features, _ = core.encode_contexts(
            contexts, core.initial_state(self.batch_size).context)
        features = core.encode_observed(context_features, observed)
        state = random_nest(core.state_spec.latent, [self.batch_size, self.num_steps])
        arguments = (context_features, features, state, z, observed)
        whole = one_step(core, *arguments)
        for index in ((slice(None), 1), (-1, -1)):  # one leading axis, and none
            part = tf.nest.map_structure(lambda x, index=index: x[index], arguments)
            expected = tf.nest.map_structure(lambda x, index=index: x[index], whole)
            require_all_close(one_step(core, *part), expected, "hidden, prior, posterior, update "
                              "and emit must be pointwise over any leading axes.")

    def test_infer_equals_the_loop(self) -> None:
        core, contexts, observed, z = self._make_case()
        for lengths in (None, self._lengths()):
            own = self._path(core, contexts, observed, z, lengths)
            loop = self._path(core, contexts, observed, z, lengths, infer=VAECore.infer)
            own, loop = (nest.mask_time(path[:-1], lengths) + (path.state,) for path in (own, loop))
            require_all_close(own, loop, "infer must equal VAECore.infer, the loop over steps.")

    def test_infer_given_equals_infer(self) -> None:
        core, contexts, observed, _ = self._make_case()
        lengths, state = self._lengths(), core.initial_state(self.batch_size)
        context_features, _ = core.encode_contexts(contexts, state.context, lengths)
        features = core.encode_observed(context_features, observed, lengths)
        sampled = core.infer(context_features, features, state.latent, lengths, seed=seed(1))
        again = core.infer_given(context_features, features, sampled.latents, state.latent, lengths)
        one, other = (nest.mask_time(
            (x.latents, x.outputs, x.prior.log_prob(sampled.latents),
             x.posterior.log_prob(sampled.latents)), lengths) for x in (again, sampled))
        require_all_close((one, again.state), (other, sampled.state), "infer_given of the "
                           "latents that infer sampled must return the result of infer.")

    def test_generating_and_training_give_equal_densities(self) -> None:
        core, contexts, *_ = self._make_case()
        generated, state = generate(core, contexts)
        path = self._path(core, contexts, generated.observed, generated.latents)
        require_close(path.log_prob, generated.log_prob, "The log-density of generated "
                       "observations must be the one that training computes for them.")
        require_close(path.latent_log_prob, generated.latent_log_prob, "The log-density of "
                       "generated latents must be the one that training computes for them.")
        require_all_close(path.state, state.core, "Generating must end in the state that "
                           "training computes for the same sequence.")

    def test_predictions_do_not_see_what_they_predict(self) -> None:
        core, contexts, observed, z = self._make_case()
        one, other = (self._path(core, contexts, x, z) for x in (observed, changed(observed)))
        for name in ("outputs", "latent_log_prob", "state"):
            require_all_close(
                getattr(one, name), getattr(other, name), f"Given contexts and latents, the {name} "
                "must not depend on the observations, which they predict.")

    def test_posterior_sees_its_own_step(self) -> None:
        core, contexts, observed, z = self._make_case()
        state = core.initial_state(self.batch_size)
        context_features, _ = core.encode_contexts(contexts, state.context)
        features = core.encode_observed(context_features, observed)
        if not core.latent_size or not tf.nest.flatten(features):
            raise unittest.SkipTest("the core has no posterior that sees observations")
        # Each row has T copies, copy s changed at step s, and one unchanged.
        steps, copies = self.num_steps, self.num_steps + 1
        contexts, observed, z = tf.nest.map_structure(
            lambda x: tf.repeat(x, copies, 0), (contexts, observed, z))
        is_changed = tf.tile(tf.eye(copies, steps, dtype=tf.bool), [self.batch_size, 1])
        observed = tf.nest.map_structure(
            lambda x, other: nest.where(is_changed, other, x), observed, changed(observed))
        log_prob = np.reshape(self._path(core, contexts, observed, z).posterior_log_prob,
                              [self.batch_size, copies, steps])
        difference = np.abs(log_prob[:, :-1] - log_prob[:, -1:])
        sees = np.any(difference > 1e-5 * (1 + np.abs(log_prob[:, -1:])), axis=0)  # [s, t]
        if self.once_per_sequence:
            require(bool(np.all(sees[:, 0])), "The posterior of z_1 must depend on all of x_1:T, "
                    f"but does not on steps {np.flatnonzero(~sees[:, 0])}.")
            require(not sees[:, 1:].any(), "The latents after z_1 must be noise.")
            return
        require(bool(np.all(np.diag(sees))), "The posterior of z_t must depend on x_t, but does "
                f"not at steps {np.flatnonzero(~np.diag(sees))}: features belong to their own "
                "step.")
        require(not self.forward_only or not np.tril(sees, -1).any(), "The posterior of z_t must "
                "not depend on x_t+1:T where forward_only: features belong to their own step.")

    def test_kl_has_its_constant(self) -> None:
        core, contexts, observed, _ = self._make_case()
        inferred, _ = self._infer(core, contexts, observed)
        q_z, p_z = inferred.posterior, inferred.prior
        check_kl_with_itself(q_z, "the posterior")
        check_kl_with_itself(p_z, "the prior")
        try:
            kl = q_z.kl_divergence(p_z)
        except NotImplementedError:
            return
        z = q_z.sample(1000, seed=seed(2))
        log_ratio = (q_z.log_prob(z) - p_z.log_prob(z)).numpy()
        error = log_ratio.std(0) / np.sqrt(len(log_ratio))
        difference = np.abs(log_ratio.mean(0) - kl)
        require(bool(np.all(difference < 6 * error + 1e-4 * (1 + np.abs(kl)))), "KL(q || p) must "
                "be the mean of log q(z) - log p(z) over samples of the posterior. The largest "
                f"difference is {np.max(difference, initial=0.0)}.")

    def test_latents_follow_their_distributions(self) -> None:
        core, contexts, observed, _ = self._make_case()
        inferred, _ = self._infer(core, *tf.nest.map_structure(
            lambda x: tf.repeat(x, _COPIES, 0), (contexts, observed)))
        check_standardised(inferred.posterior, inferred.latents, "the posterior, in infer,")
        check_standardised(inferred.prior, inferred.prior.sample(seed=seed(2)), "the prior")

    def test_samples_carry_the_gradient_of_the_posterior(self) -> None:
        core, contexts, observed, _ = self._make_case()
        with tf.GradientTape() as tape:
            inferred, features = self._infer(core, contexts, observed, tape)
            latents = tf.reduce_sum(inferred.latents)
        if not core.latent_size or not features or (
                inferred.posterior.reparameterization_type != tfd.FULLY_REPARAMETERIZED):
            raise unittest.SkipTest("the core has no reparameterized posterior that sees "
                                    "observations")
        gradients = tape.gradient(latents, features)
        require(any(gradient is not None and np.any(gradient) for gradient in gradients),
                "The posterior says that it is FULLY_REPARAMETERIZED, but its samples carry no "
                "gradient to the features of encode_observed: take no stop_gradient of them.")

    def test_evaluations_are_the_same_twice(self) -> None:
        core, contexts, observed, _ = self._make_case()
        check_no_noise(lambda: generate(core, contexts)[0], "Samples")
        check_no_noise(lambda: elbo(core, contexts, observed, self._lengths()),
                       "Bounds and gradients", before=_ELBOS[core][type(self)])

    def test_whole_sequence_equals_two_parts(self) -> None:
        core, contexts, observed, z = self._make_case()
        whole = self._path(core, contexts, observed, z)
        state, parts, cut = core.initial_state(self.batch_size), [], self.num_steps // 2
        for part in (slice(None, cut), slice(cut, None)):
            path = self._path(core, *(at(x, part) for x in (contexts, observed, z)), state=state)
            state = path.state
            parts.append(path)
        for name in Path._fields[:-1]:
            if name == "posterior_log_prob" and not self.forward_only:
                continue
            joined = tf.concat([getattr(part, name) for part in parts], 1)
            require_close(joined, getattr(whole, name), f"A sequence cut in two, with the state "
                           f"carried, must have the {name} of the whole.")
        require_all_close(state, whole.state, "A sequence cut in two must end in the state of the "
                           "whole.")

    def test_one_row_of_one_step_and_of_none(self) -> None:
        core, contexts, observed, z = self._make_case()
        whole = self._path(core, contexts, observed, z)
        for steps in (1, 0):
            path = self._path(core, *(
                at(at(x, slice(0, 1), 0), slice(None, steps)) for x in (contexts, observed, z)))
            for name in ("outputs", "log_prob", "latent_log_prob"):
                require_close(getattr(path, name), getattr(whole, name)[:1, :steps],
                              f"The first row's first {steps} steps alone must have the {name} of "
                              "the whole batch.")
        require_all_close(path.state, core.initial_state(1),
                          "The state after no step must be the state before it.")

    def test_padding_changes_nothing(self) -> None:
        core, contexts, observed, z = self._make_case()
        lengths = self._lengths()
        clean_contexts, clean_observed = nest.mask_time((contexts, observed), lengths)
        padded = self._path(core, clean_contexts, clean_observed, z, lengths)
        for row, length in enumerate(lengths.numpy()):
            if length:
                one = (at(at(x, slice(row, row + 1), 0), slice(None, length))
                       for x in (contexts, observed, z))
                alone = self._path(core, *one)
                require_all_close(
                    tuple(at(x, row, 0)[:length] for x in padded[:-1]),
                    tuple(x[0] for x in alone[:-1]),
                    "A padded row must give the results of the row alone.")
                require_all_close(at(padded.state, row, 0), at(alone.state, 0, 0),
                                   "A padded row must end in the state of the row alone.")

    def test_padding_reaches_no_gradient(self) -> None:
        core, contexts, observed, _ = self._make_case()
        lengths = self._lengths()
        filled_contexts, filled_observed = fill_padding((contexts, observed), lengths)
        filled = elbo(core, filled_contexts, filled_observed, lengths)
        for one, other in pairs(_ELBOS[core][type(self)], filled):
            require(np.array_equal(one, other), "The values of padding, even NaN, must not reach "
                     "the bound, its gradients or the next state.")

    def test_batch_order_changes_nothing(self) -> None:
        core, contexts, observed, z = self._make_case()
        order, lengths = np.arange(self.batch_size)[::-1].copy(), self._lengths()
        path = self._path(core, contexts, observed, z, lengths)
        permuted = self._path(core, take(contexts, order), take(observed, order), take(z, order),
                            tf.gather(lengths, order))
        require_all_close(nest.mask_time(take(permuted[:-1], order), lengths),
                           nest.mask_time(path[:-1], lengths),
                           "Rows must not depend on their position in the batch.")
        require_all_close(take(permuted.state, order), path.state,
                           "States must not depend on their position in the batch.")

    def test_gradients_reach_every_variable(self) -> None:
        core, contexts, observed, _ = self._make_case()

        def loss() -> Tensor:
            bound = ELBO(monte_carlo=True)
            return -tf.reduce_sum(bound(
                core, contexts, observed, bound.initial_state(core, self.batch_size),
                seed=seed(1)).objective)

        check_gradients(core, loss)

    def test_compiled_equals_eager(self) -> None:
        core, contexts, observed, z = self._make_case()

        def run() -> tuple[Path, list[Tensor]]:
            return (self._path(core, contexts, observed, z, self._lengths()),
                    self._gradients(core, contexts, observed, z))

        @tf.function(jit_compile=True)
        def compiled() -> tuple:
            generated, _ = generate(core, contexts)
            inferred = self._path(core, contexts, generated.observed, generated.latents)
            return run(), generated.log_prob, inferred.log_prob

        results, log_prob, inferred = compiled()
        for one, other in pairs(results, run()):
            require_close(one, other, "Densities, states and gradients must be the same compiled "
                           "(jit_compile=True) and eager.", tolerance=1e-3)
        require_close(log_prob, inferred, "The log-density of observations that were generated "
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

    def _infer(
        self, core: VAECore, contexts: Tensor, observed: Nest, tape: tf.GradientTape | None = None
    ) -> tuple[Inferred, list[Tensor]]:
        """Infers latents; the floating features of the observations, which a tape watches."""
        state = core.initial_state(nest.leading_dim(contexts))
        context_features, _ = core.encode_contexts(contexts, state.context)
        features = core.encode_observed(context_features, observed)
        floating = [x for x in tf.nest.flatten(features) if x.dtype.is_floating]
        if tape is not None:
            tape.watch(floating)
        return core.infer(context_features, features, state.latent, seed=seed(1)), floating

    def _make_case(self) -> tuple[VAECore, Tensor, Nest, Tensor]:
        """Returns a core whose variables exist, contexts, observations and latents."""
        core, leading = self.make_object_under_test(), [self.batch_size, self.num_steps]
        contexts = self.make_contexts(leading)
        observed = self.make_observations(core, leading)
        elbos = _ELBOS.setdefault(core, {})
        if type(self) not in elbos:
            elbos[type(self)] = elbo(core, contexts, observed, self._lengths())
        z = tf.random.stateless_normal([*leading, core.latent_size], seed(5))
        return core, contexts, observed, z

    def _lengths(self) -> Tensor:
        return tf.constant(np.linspace(self.num_steps, 0, self.batch_size).astype(np.int32))

    def _path(
        self, core: VAECore, contexts: Tensor, observed: Nest, z: Tensor,
        lengths: Tensor | None = None, *, state: CoreState | None = None,
        infer: Callable[..., Inferred] | None = None,
    ) -> Path:
        """Computes the training pass with fixed latents instead of sampled ones."""
        state = core.initial_state(nest.leading_dim(contexts)) if state is None else state
        context_features, context_state = core.encode_contexts(contexts, state.context, lengths)
        features = core.encode_observed(context_features, observed, lengths)
        inferred = (infer or type(core).infer)(
            with_fixed_latents(core), context_features, (z, features), state.latent, lengths,
            seed=seed(1))
        decoded = core.decoder.distribution(inferred.outputs)
        return Path(decoded.log_prob(observed), inferred.prior.log_prob(z),
                     inferred.posterior.log_prob(z), inferred.outputs,
                     CoreState(context_state, inferred.state))
