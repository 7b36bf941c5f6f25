# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The contract of a sequence model.

An RNN is a VAE without latent variables, so all models form one family and differ only in which
quantities are random. One step is

    h_t                = hidden(context_feature_t, s_t)      everything known before z_t
    p(z_t | h_t)       = prior(h_t)
    q(z_t | h_t, f_t)  = posterior(h_t, f_t)                 inference only
    u_t, s_t+1         = update(h_t, z_t)
    p(x_t | h_t, z_t)  = decoder(u_t)                        emit: update, then the decoder

Two whole-sequence passes see no latents and therefore stay outside the loop over time:

    context_feature_1:T = encode_contexts(context_1:T)       deterministic recurrences (SRNN's d_t)
    f_1:T = encode_observed(context_feature_1:T, x_1:T)      inference only: the posterior's inputs

    contexts --> encode_contexts --> hidden --> prior ------> z_t --> update --> decoder --> x_t
                                       ^   `--> posterior ---'          |
                                       |            ^                   |
                                       '----------- | ------ s_t+1 -----'
                                                    |
    observed --> encode_observed -------------------'

The posterior is amortised: one network maps features of the observations to q(z_t | ...) for every
sequence. If f_t depends on x_1:t only (VRNN) it is a filtering posterior, if it depends on x_1:T
(SRNN, ISEQ) a smoothing posterior.

The generative step is written once. `GenCore` samples z_t from the prior and x_t from the decoder
(ancestral sampling). Every bound samples z_t from the posterior and scores it with the prior and
the decoder, by the same methods. The per-step methods are pointwise over leading axes, so that
the densities of all steps are computed after the loop by one call on `[B, T, ...]`.

Axes: B batch, T time, F features, Z latent (see `vaeseq.types`).
"""
from __future__ import annotations

import abc
import dataclasses
from typing import Any, NamedTuple

import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import dtypes, nest, seeds
from vaeseq.codec import latent
from vaeseq.description import Described
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.hparams import HParams
from vaeseq.nn.dropout import segment_dropout
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor


class CoreState(NamedTuple):
    """The state of a core between two steps.

    Attributes:
      context: state of the recurrences over contexts alone, a nest of `[B, ...]`.
      latent: state that depends on the latents, s_t, a nest of `[B, ...]`.
    """

    context: Nest
    latent: Nest


class Inferred(NamedTuple):
    """Latents of whole sequences, sampled from the posterior or given.

    Attributes:
      latents: z_1:T, `[B, T, Z]`.
      prior: p(z_t | h_t), a distribution of batch shape `[B, T]`.
      posterior: q(z_t | h_t, f_t), of batch shape `[B, T]`.
      outputs: u_1:T, the decoder's inputs, `[B, T, F]`; a `Diffusion` has a nest of its own.
      state: `CoreState.latent` after each row's last valid step.
    """

    latents: Tensor
    prior: tfd.Distribution
    posterior: tfd.Distribution
    outputs: Nest
    state: Nest


@dataclasses.dataclass(frozen=True)
class _Sizes:
    """What the constructor of a core was given; no tuple, which a module would track."""

    latent_size: int | None
    state_spec: CoreState | None


@snt.allow_empty_variables
class SequenceCore(Described, snt.Module, abc.ABC):
    """A sequence model as bounds see it: latents of a whole sequence, and its log-density.

    A core whose sequence is generated step by step is a `VAECore`; one that generates it as a
    whole is a `Diffusion`.

    Attributes:
      decoder: the `DistModule` from u_t to p(x_t | u_t).
      dtype: the floating dtype in which the core was built (see `vaeseq.dtypes`).
      has_density: whether the posterior has a density; without one there is no bound on the
        likelihood (see `vaeseq.bounds.reconstruction`).
      Options: a dataclass of the core's own hyperparameters (`fields.declare`); None for none.
      appends_contexts: whether the hyperparameter `context_skip` puts the contexts behind the
        recurrent outputs in the decoder's inputs, which a decoder may count on.
    """

    Options: type | None = None
    has_density: bool = True
    appends_contexts = False

    def __init__(
        self, decoder: DistModule, *, latent_size: int | None = None,
        state_spec: CoreState | None = None, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from u_t to the distribution of x_t.
          latent_size: Z; None if the subclass defines the property.
          state_spec: the state of one sequence; None if the subclass defines the property.
        """
        super().__init__(name=name)
        self.decoder = decoder
        self._sizes = _Sizes(latent_size, state_spec)
        self.dtype = dtypes.default_dtype()

    @classmethod
    def from_hparams(
        cls, hparams: HParams, decoder: DistModule, encoder: Encoder
    ) -> VAECore:
        """Builds a core from hyperparameters; a core in the registry defines it.

        Args:
          hparams: sizes and kinds of the networks.
          decoder: from u_t to the distribution of x_t.
          encoder: from x_t to the features that the posterior sees.
        """
        raise NotImplementedError(
            f"{cls.__name__} cannot be built from hyperparameters: it does not define "
            "from_hparams(hparams, decoder, encoder). Define it, or call the constructor.")

    @property
    def latent_size(self) -> int:
        """Z, the size of z_t; 0 for a model without latents."""
        return self._from_constructor("latent_size")

    @property
    def state_spec(self) -> CoreState:
        """Nest of `tf.TensorSpec` of the state of one sequence, without the batch axis."""
        return self._from_constructor("state_spec")

    @property
    def observation_spec(self) -> Nest:
        """The decoder's `event_spec` in the dtype in which the core was built."""
        return dtypes.cast_specs(self.decoder.event_spec, self.dtype)

    def _from_constructor(self, name: str) -> Any:
        value = getattr(self._sizes, name)
        if value is None:
            raise NotImplementedError(
                f"{type(self).__name__} has no {name}. Give it to the constructor, "
                f"super().__init__(decoder, {name}=...), or define the property.")
        return value

    def initial_state(self, batch_size: int | Tensor) -> CoreState:
        """Returns the state before the first step, `[B, ...]`; zeros by default."""
        return nest.zeros(dtypes.cast_specs(self.state_spec, self.dtype), batch_size)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        """Computes the part of every step that depends on contexts alone.

        The default returns the contexts.

        Args:
          contexts: `[B, T, F]`.
          state: `CoreState.context` before the first step.
          lengths: int32 `[B]`, valid steps of each row; all T by default.

        Returns:
          A nest of `[B, T, ...]` and the next `CoreState.context`.
        """
        del lengths
        return contexts, state

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        """Computes the features f_1:T that the posterior sees.

        The default is no features.

        Args:
          context_features: the result of `encode_contexts`, a nest of `[B, T, ...]`.
          observed: a nest of `[B, T, ...]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.

        Returns:
          A nest of `[B, T, ...]`.
        """
        del context_features, observed, lengths
        return ()

    @abc.abstractmethod
    def infer(
        self, context_features: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        """Samples the latents of whole sequences from the posterior.

        Args:
          context_features: the result of `encode_contexts`, a nest of `[B, T, ...]`.
          features: the result of `encode_observed`, a nest of `[B, T, ...]`.
          state: `CoreState.latent` before the first step, a nest of `[B, ...]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
          seed: int32 `[2]`.
        """

    def log_prob(self, outputs: Nest, observed: Nest) -> Tensor:
        """Computes log p(x_t | u_t) of whole sequences, in nats, `[B, T]`.

        Long sequences are decoded a segment at a time, to bound the memory of activations.

        Args:
          outputs: u_1:T, `[B, T, F]`.
          observed: a nest of `[B, T, ...]`.
        """
        def score(inputs: tuple, state: Nest, number: Tensor | None) -> tuple[Tensor, Nest]:
            outputs, observed = inputs
            with segment_dropout(number):
                log_prob = self.decoder.distribution(outputs).log_prob(observed)
                return require_one_each(self.decoder, log_prob), state

        return unroll.by_segments(score, (outputs, observed))[0]


def require_one_each(decoder: DistModule, log_prob: Tensor) -> Tensor:
    """Returns log-densities `[B, T]`; raises ValueError if they have further axes."""
    if log_prob.shape.rank != 2:
        raise ValueError(
            f"{type(decoder).__name__}.dist: expected a distribution with one log-density for each "
            f"observation, got log-densities of shape {log_prob.shape}. Make the dimensions of an "
            "observation one event: tfd.Independent(distribution, reinterpreted_batch_ndims="
            f"{(log_prob.shape.rank or 3) - 2}).")
    return log_prob


def require_latent(
    core: SequenceCore, method: str, distribution: tfd.Distribution, num_axes: int
) -> tfd.Distribution:
    """Returns a distribution of z_t for `num_axes` leading axes.

    Raises:
      ValueError: its event is not `[latent_size]`, or its batch shape has other axes.
    """
    batch, event = distribution.batch_shape, distribution.event_shape
    if batch.rank not in (None, num_axes) or not event.is_compatible_with([core.latent_size]):
        raise ValueError(
            f"{type(core).__name__}.{method}: expected a distribution of event shape "
            f"[{core.latent_size}], the latent_size, for each row or step, got event shape {event} "
            f"and batch shape {batch}. tfd.Independent makes dimensions an event.")
    return distribution


def require_steps(core: SequenceCore, purpose: str) -> VAECore:
    """Returns the core if it generates a sequence step by step.

    Raises:
      ValueError: it generates a sequence as a whole; `purpose`, the message says, needs steps.
    """
    if not isinstance(core, VAECore):
        raise ValueError(f"{purpose} needs a model that generates step by step; "
                         f"{type(core).__name__} generates a sequence as a whole. Train another "
                         "vae_type.")
    return core


class VAECore(SequenceCore):
    """A sequence model, defined by four methods for one step; the others have defaults.

    `hidden`, `prior`, `posterior` and `update` accept any leading axes. A subclass whose latents
    do not depend on each other may override `infer` to run without a loop, and `infer_given` too
    for speed. `vaeseq.testing.VAECoreContract` tests that both still equal the loop.
    """

    @abc.abstractmethod
    def hidden(self, context_feature: Nest, state: Nest) -> Nest:
        """Computes h_t, everything that is known before z_t.

        Args:
          context_feature: one step of the result of `encode_contexts`, a nest of `[..., *]`.
          state: `CoreState.latent`, a nest of `[..., *]`.

        Returns:
          A nest of `[..., *]`.
        """

    @abc.abstractmethod
    def prior(self, h: Nest) -> tfd.Distribution:
        """Returns p(z_t | h_t), of batch shape `[...]` and event shape `[Z]`."""

    @abc.abstractmethod
    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        """Returns q(z_t | h_t, f_t), of batch shape `[...]` and event shape `[Z]`."""

    @abc.abstractmethod
    def update(self, h: Nest, z: Tensor) -> tuple[Tensor, Nest]:
        """Returns the decoder's input u_t, `[..., F]`, and the next `CoreState.latent`."""

    def emit(self, h: Nest, z: Tensor) -> tuple[tfd.Distribution, Nest]:
        """Returns p(x_t | h_t, z_t) and the next `CoreState.latent`."""
        outputs, state = self.update(h, z)
        return self.decoder.distribution(outputs), state

    def begin_step(self, context: Tensor, state: CoreState) -> tuple[Nest, Nest]:
        """Returns h_t of a single step, a nest of `[B, ...]`, and the next `CoreState.context`.

        Args:
          context: c_t, `[B, F]`.
          state: the core's state before the step.
        """
        context_features, context_state = self.encode_contexts(context[:, None], state.context)
        context_feature = tf.nest.map_structure(lambda leaf: leaf[:, 0], context_features)
        return self.hidden(context_feature, state.latent), context_state

    def infer(
        self, context_features: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        """Samples z_1:T from the posterior, each step given the latents before it.

        The loop over time holds only what depends on earlier latents; the prior and posterior of
        all steps are computed after it. A posterior of independent normals is not computed twice:
        the loop returns its parameters.

        Args:
          context_features: the result of `encode_contexts`, a nest of `[B, T, ...]`.
          features: the result of `encode_observed`, a nest of `[B, T, ...]`.
          state: `CoreState.latent` before the first step, a nest of `[B, ...]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
          seed: int32 `[2]`.
        """
        def step(inputs: tuple, latent_state: Nest) -> tuple[tuple, Nest]:
            context_feature, feature, noise, step_seed = inputs
            h = self.hidden(context_feature, latent_state)
            q_z = require_latent(self, "posterior", self.posterior(h, feature), 1)
            with seeds.presampled_noise(noise):
                z = q_z.sample(seed=step_seed[0])
            record = self.record_posterior(q_z, z)
            outputs, after = self.update(h, z)
            nest.require_like(
                after, latent_state,
                f"{type(self).__name__}.update: expected a next state, by state_spec,")
            return (h, z, outputs, record), after

        batch_size, num_steps = (nest.leading_dim(context_features, axis) for axis in (0, 1))
        noise_seed, step_seed = seeds.split(seed, 2)
        noise = seeds.normal(
            [batch_size, num_steps, self.latent_size], noise_seed, self.dtype)
        steps = (context_features, features, noise, seeds.per_step(step_seed, num_steps))
        (h, z, outputs, record), state = unroll.scan(step, steps, state, lengths)
        q_z = self.recorded_posterior(record, h, features, z)
        return Inferred(z, require_latent(self, "prior", self.prior(h), 2), q_z, outputs, state)

    def record_posterior(self, q_z: tfd.Distribution, z: Tensor) -> Nest:
        """Returns what `infer` keeps of a step's posterior, so as not to compute it twice.

        The default keeps the parameters of independent normals, and () for another distribution.

        Args:
          q_z: q(z_t | h_t, f_t).
          z: its sample, `[B, Z]`.

        Returns:
          A nest of `[B, ...]`.
        """
        del z
        return latent.normal_params(q_z)

    def recorded_posterior(
        self, record: Nest, h: Nest, features: Nest, z: Tensor
    ) -> tfd.Distribution:
        """Returns q(z_t | h_t, f_t) of all steps from the records of `record_posterior`.

        Args:
          record: a nest of `[B, T, ...]`.
          h: h_1:T, a nest of `[B, T, ...]`.
          features: f_1:T, a nest of `[B, T, ...]`.
          z: the samples, `[B, T, Z]`.
        """
        del z
        return latent.normal(record) if record else self.posterior(h, features)

    def infer_given(
        self, context_features: Nest, features: Nest, latents: Tensor, state: Nest,
        lengths: Tensor | None = None,
    ) -> Inferred:
        """Returns the result of `infer` for given latents instead of sampled ones.

        Args:
          context_features: the result of `encode_contexts`, a nest of `[B, T, ...]`.
          features: the result of `encode_observed`, a nest of `[B, T, ...]`.
          latents: z_1:T, `[B, T, Z]`.
          state: `CoreState.latent` before the first step, a nest of `[B, ...]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
        """
        def step(inputs: tuple, latent_state: Nest) -> tuple[tuple, Nest]:
            context_feature, z = inputs
            h = self.hidden(context_feature, latent_state)
            outputs, latent_state = self.update(h, z)
            return (h, outputs), latent_state

        (h, outputs), state = unroll.scan(step, (context_features, latents), state, lengths)
        return Inferred(latents, self.prior(h), self.posterior(h, features), outputs, state)


class WrappedCore(VAECore):
    """Calls the methods of another core; subclasses override some of them.

    Attributes:
      core: the other core.
    """

    def __init__(
        self, core: VAECore, decoder: DistModule | None = None, name: str | None = None
    ):
        """Creates the core; `decoder` is by default that of the other core."""
        super().__init__(core.decoder if decoder is None else decoder, name=name,
                         latent_size=core.latent_size, state_spec=core.state_spec)
        self.dtype, self.has_density = core.dtype, core.has_density
        self.core = core

    def initial_state(self, batch_size: int | Tensor) -> CoreState:
        return self.core.initial_state(batch_size)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Nest, Nest]:
        return self.core.encode_contexts(contexts, state, lengths)

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> Nest:
        return self.core.encode_observed(context_features, observed, lengths)

    def hidden(self, context_feature: Nest, state: Nest) -> Nest:
        return self.core.hidden(context_feature, state)

    def prior(self, h: Nest) -> tfd.Distribution:
        return self.core.prior(h)

    def posterior(self, h: Nest, feature: Nest) -> tfd.Distribution:
        return self.core.posterior(h, feature)

    def update(self, h: Nest, z: Tensor) -> tuple[Tensor, Nest]:
        return self.core.update(h, z)
