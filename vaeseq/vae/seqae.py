# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""SEQAE: a sequence autoencoder, one latent for a whole sequence.

Dai and Le, arXiv:1511.01432, encode a sequence into the state of a recurrent network and decode it
again; Bowman et al., arXiv:1511.06349, put a prior on that state. Notation: z latent of a sequence,
c_t context, d_t recurrence of the decoder, x_t observation, l_t and r_t recurrences over
observations, forwards and backwards.

    Generative                          Inference

          z                             z <-- l_T, r_1
        / | \
       v  v  v                               l_1 --> l_2 --> l_3
    d_1 --> d_2 --> d_3                      r_1 <-- r_2 <-- r_3      x_t above each l_t and r_t
     |  ^    |  ^    |  ^
     v  |    v  |    v  |
    x_1 c_1 x_2 c_2 x_3 c_3

    p(z) = N(0, I)                      q(z | x_1:T) = N(mean, stddev) of [l_T, r_1],
    d_0 = tanh(linear(z))                              or the mean itself (deterministic)
    d_t of d_t-1, c_t, z
    p(x_t | d_t)

With `seqae_conductor=N`, the decoder is that of MusicVAE (arXiv:1803.05428), for long sequences: a
recurrence g, the conductor, takes a step every N steps, and the decoder's recurrence starts anew
for each segment of N steps. So what lasts longer than a segment must pass through z.

    g_0 = tanh(linear(z)),  g_k of g_k-1, z
    d = tanh(linear(g_k)) before the first step of segment k;  d_t of d_t-1, c_t, g_k

As a core, the latent of the first step of a sequence is z, which the state carries from then on. At
later steps it is standard normal noise in both the prior and the posterior, and nothing reads it:
its KL is exactly 0 and its importance weight 1, so that the KL of z is charged once. `begin` gives
the state of sequences whose z is known, from which the sampler decodes.

What keeps the distribution of z near the prior is the training bound: `elbo` (or `iwae`) charges
the KL, `mmd` and `adversarial` compare the z of a batch with draws from the prior, and
`reconstruction` does neither (`vaeseq.bounds.reconstruction`).

Deviations: the paper's encoder reads forwards only and shares its weights with the decoder. d_0 is
computed for the parts of a cell's state that are vectors; caches (a transformer's) start empty. If
a sequence is trained in windows, z is inferred from the first of them, and every bound stays a
bound.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest
from vaeseq.codec import latent
from vaeseq.codec.decoders import NormalParams
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import Range, declare
from vaeseq.hparams import HParams
from vaeseq.nn.dropout import apply_dropout, check_dropout_rate
from vaeseq.nn.networks import MLP, Linear, RecurrentStack
from vaeseq.nn.scan import lookup
from vaeseq.types import Nest, Seed, Spec, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, Inferred, VAECore

_SHARE = Range(0, 1, open_high=True)


class State(NamedTuple):
    """The state between two steps.

    Attributes:
      z: the latent of the sequence, `[..., Z]`; zeros before the first step.
      cell: the recurrent state of d.
      has_begun: `[..., 1]`, 0 before the first step and 1 after it.
      segment: a `Segment`; () without a conductor.
    """

    z: Tensor
    cell: Nest
    has_begun: Tensor
    segment: Nest


class Segment(NamedTuple):
    """The conductor's part of the state.

    Attributes:
      cell: the recurrent state of g.
      output: g_k, `[..., G]`.
      place: `[..., 1]`, the number of past steps of segment k, 0 where the next step begins one.
    """

    cell: Nest
    output: Tensor
    place: Tensor


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      context: c_t, `[..., F]`.
      state: the state before the step.
    """

    context: Tensor
    state: State


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of SEQAE alone."""

    seqae_posterior: Literal["gaussian", "deterministic"] = declare(
        "gaussian", "SEQAE: what the encoder gives: a normal distribution, or a point (for "
        "train_bound=reconstruction, mmd or adversarial)")
    seqae_input_noise: float = declare(
        0.0, "SEQAE: share of the observations that the encoder does not see in training", _SHARE)
    seqae_decoder_dropout: float = declare(
        0.0, "SEQAE: share of the contexts that the decoder does not see in training", _SHARE)
    seqae_conductor: int = declare(
        0, "SEQAE: steps of a segment, for which a conductor starts the decoder anew; 0: none",
        Range(0, 1 << 16))
    seqae_reset_decoder: bool = declare(
        False, "SEQAE: take the encoder alone from the run of --init-from")
    seqae_encoder_updates: int = declare(
        0, "SEQAE: updates of the encoder alone before each update of all weights (lagging "
        "inference networks)", Range(0, 1000))
    seqae_encoder_steps: int = declare(
        1000, "SEQAE: first updates of a run for which seqae_encoder_updates holds",
        Range(0, 1e12))


class SEQAE(VAECore):
    """A sequence autoencoder (graphs in the module description).

    Attributes:
      critic: tells latents from draws of the prior, for the bound "adversarial"; None for none.
      resets_decoder: whether a warm start takes the encoder alone (`vaeseq.vae.pretrained`).
    """

    Options = Options
    appends_contexts = True

    def __init__(
        self, decoder: DistModule, encoder: Encoder, d_core: RecurrentStack,
        q_z: latent.DiagonalNormal, *, past: RecurrentStack, future: RecurrentStack,
        deterministic: bool = False, input_noise: float = 0.0, decoder_dropout: float = 0.0,
        conductor: RecurrentStack | None = None, segment_size: int = 0,
        critic: MLP | None = None, resets_decoder: bool = False, name: str | None = None,
    ):
        """Creates the core.

        Args:
          decoder: from d_t to the distribution of x_t.
          encoder: from x_t to the features that the inference network reads.
          d_core: the recurrence over contexts and z.
          q_z: from [l_T, r_1] to the distribution of z.
          past: the recurrence over observations forwards, l.
          future: the recurrence over observations backwards, r.
          deterministic: whether z is the mean of q(z) instead of a sample.
          input_noise: share of the observations whose features l and r read as zeros while
            dropout is on (a denoising autoencoder).
          decoder_dropout: share of the contexts that d reads as zeros while dropout is on (word
            dropout, arXiv:1511.06349), so that it has to read z.
          conductor: the recurrence over segments, g; None for none.
          segment_size: N, the steps of a segment, at least 1 with a conductor.
          critic: from z to one logit; see above.
          resets_decoder: see above.

        Raises:
          ValueError: a share is outside [0, 1), or there is only one of conductor and segment size.
        """
        size, dtype = q_z.event_spec.shape[0], q_z.event_spec.dtype
        if (conductor is None) != (segment_size < 1):
            raise ValueError("expected a conductor and a segment_size of at least 1, or neither; "
                             f"got segment_size={segment_size}.")
        segment: Nest = () if conductor is None else Segment(
            conductor.state_spec, Spec([conductor.output_size], dtype, "output"),
            Spec([1], dtype, "place"))
        state = State(Spec([size], dtype, "z"), d_core.state_spec, Spec([1], dtype, "has_begun"),
                      segment)
        super().__init__(
            decoder, latent_size=size, state_spec=CoreState((), state), name=name)
        check_dropout_rate(input_noise)
        check_dropout_rate(decoder_dropout)
        self.critic = critic
        self.resets_decoder = resets_decoder
        self._encoder = encoder
        self._d_core = d_core
        self._q_z = q_z
        self._past = past
        self._future = future
        self.has_density = not deterministic
        self._input_noise = input_noise
        self._decoder_dropout = decoder_dropout
        self._conductor = conductor
        self._segment_size = segment_size
        self._initial = _initial_layers(d_core, "initial")
        self._conductor_initial = (
            [] if conductor is None else _initial_layers(conductor, "conductor_initial"))

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> SEQAE:
        """Builds the core from hyperparameters; `latent_decoder_fc_layers` are of q(z) and critic.

        Raises:
          ValueError: no latent, or `posterior_flows`, which would mix z with the noise of later
            steps.
        """
        if hparams.posterior_flows or not hparams.latent_size:
            raise ValueError(
                "SEQAE has one latent of a whole sequence; expected latent_size of 1 or more and "
                f"posterior_flows=0, got latent_size={hparams.latent_size} and "
                f"posterior_flows={hparams.posterior_flows}.")
        critic = conductor = None
        if hparams.seqae_conductor:
            conductor = _builders.recurrent_stack(hparams, "conductor")
        if hparams.train_bound == "adversarial":
            critic = MLP((*hparams.latent_decoder_fc_layers, 1), activation=hparams.activation,
                         name="critic")
        return cls(
            decoder, encoder,
            _builders.recurrent_stack(hparams, "d_core", skip=hparams.context_skip),
            _builders.diagonal_normal(hparams, "q_z"),
            past=_builders.recurrent_stack(hparams, "past"),
            future=_builders.recurrent_stack(hparams, "future"),
            deterministic=hparams.seqae_posterior == "deterministic",
            input_noise=hparams.seqae_input_noise,
            decoder_dropout=hparams.seqae_decoder_dropout, conductor=conductor,
            segment_size=hparams.seqae_conductor, critic=critic,
            resets_decoder=hparams.seqae_reset_decoder)

    @property
    def inference_variables(self) -> tuple[tf.Variable, ...]:
        """The weights of q(z | x_1:T) alone, without the encoder of observations."""
        return tuple(variable for module in (self._past, self._future, self._q_z)
                     for variable in module.trainable_variables)

    def begin(self, z: Tensor) -> CoreState:
        """Returns the state before the first step of sequences whose latents are z, `[B, Z]`."""
        segment: Nest = ()
        if self._conductor is None:
            cell = _initial_state(self._initial, self._d_core, z)
        else:
            leading = nest.shape_of(z)[:-1]
            cell, output = (nest.zeros(spec, *leading) for spec in (
                self._d_core.state_spec, self.state_spec.latent.segment.output))
            segment = Segment(_initial_state(self._conductor_initial, self._conductor, z), output,
                              tf.zeros_like(z[..., :1]))
        return CoreState((), State(z, cell, tf.ones_like(z[..., :1]), segment))

    def encode(self, observed: Nest, lengths: Tensor | None = None) -> NormalParams:
        """Returns the mean and the standard deviation of q(z | x_1:T), `[B, Z]` each.

        The standard deviation is 0 where the posterior is deterministic.

        Args:
          observed: a nest of `[B, T, ...]`.
          lengths: int32 `[B]`, valid steps of each row; all T by default.
        """
        params = self._posterior_params(observed, lengths)
        return params if self.has_density else params._replace(scale=tf.zeros_like(params.scale))

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Tensor, Nest]:
        return _drop_steps(self, contexts, self._decoder_dropout), state

    def encode_observed(
        self, context_features: Nest, observed: Nest, lengths: Tensor | None = None
    ) -> NormalParams:
        num_steps = nest.leading_dim(observed, 1)
        return nest.repeat_rows(self._posterior_params(observed, lengths), num_steps)

    def _posterior_params(self, observed: Nest, lengths: Tensor | None) -> NormalParams:
        features = _drop_steps(self._past, self._encoder(observed), self._input_noise)
        past = _builders.forward(self._past, features, lengths)
        future = _builders.backward(self._future, features, lengths)
        return self._q_z(_builders.ends(past, future, lengths))

    def hidden(self, context_feature: Nest, state: State) -> Hidden:
        return Hidden(context_feature, state)

    def prior(self, h: Hidden) -> tfd.Distribution:
        return latent.normal(NormalParams(tf.zeros_like(h.state.z), tf.ones_like(h.state.z)))

    def posterior(self, h: Hidden, feature: NormalParams) -> tfd.Distribution:
        later = h.state.has_begun > 0
        loc = tf.where(later, tf.zeros_like(feature.loc), feature.loc)
        if not self.has_density:
            return tfd.Independent(tfd.Deterministic(loc), 1)
        return latent.normal(
            NormalParams(loc, tf.where(later, tf.ones_like(loc), feature.scale)))

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, State]:
        state = self._with_sequence_latent(h.state, z)
        source = state.z
        if self._conductor is not None:
            state = self._conduct(self._conductor, state)
            source = state.segment.output
        outputs, cell = self._d_core.step((h.context, source), state.cell)
        return outputs, state._replace(cell=cell)

    def _conduct(self, conductor: RecurrentStack, state: State) -> State:
        """Begins a segment where one is due, and counts its steps."""
        segment = state.segment
        begins = segment.place[..., 0] == 0
        output, cell = conductor.step(state.z, segment.cell)
        output, cell = nest.where(begins, (output, cell), (segment.output, segment.cell))
        place = tf.math.floormod(segment.place + 1, self._segment_size)
        return state._replace(
            cell=nest.where(
                begins, _initial_state(self._initial, self._d_core, output), state.cell),
            segment=Segment(cell, output, place))

    def infer(
        self, context_features: Nest, features: Nest, state: State, lengths: Tensor | None = None,
        *, seed: Seed,
    ) -> Inferred:
        """Samples z, and runs the decoder over all steps at once."""
        if context_features.shape[1] == 0:
            return super().infer(context_features, features, state, lengths, seed=seed)
        h = self._all_hidden(context_features, state)
        q_z = self.posterior(h, features)
        z = q_z.sample(seed=seed)
        return self._decode(h, z, q_z, lengths)

    def infer_given(
        self, context_features: Nest, features: Nest, latents: Tensor, state: State,
        lengths: Tensor | None = None,
    ) -> Inferred:
        if context_features.shape[1] == 0:
            return super().infer_given(context_features, features, latents, state, lengths)
        h = self._all_hidden(context_features, state)
        return self._decode(h, latents, self.posterior(h, features), lengths)

    def _all_hidden(self, contexts: Tensor, state: State) -> Hidden:
        """Returns what the prior and the posterior of all steps read.

        The cell and the segment are those before the first step.
        """
        num_steps = nest.leading_dim(contexts, 1)
        z = nest.repeat_rows(state.z, num_steps)
        later = tf.ones([nest.leading_dim(z), num_steps - 1, 1], z.dtype)
        has_begun = tf.concat([state.has_begun[:, tf.newaxis], later], 1)
        return Hidden(contexts, State(z, state.cell, has_begun, state.segment))

    def _decode(
        self, h: Hidden, latents: Tensor, q_z: tfd.Distribution, lengths: Tensor | None
    ) -> Inferred:
        before = State(
            h.state.z[:, 0], h.state.cell, h.state.has_begun[:, 0], h.state.segment)
        after = self._with_sequence_latent(before, latents[:, 0])
        if self._conductor is None:
            z = nest.repeat_rows(after.z, nest.leading_dim(latents, 1))
            outputs, cell = self._d_core((h.context, z), after.cell, lengths)
            after = after._replace(cell=cell)
        else:
            outputs, after = self._decode_segments(self._conductor, h.context, after, lengths)
        if lengths is not None:
            after = nest.where(lengths > 0, after, before)
        return Inferred(latents, self.prior(h), q_z, outputs, after)

    def _decode_segments(
        self, conductor: RecurrentStack, contexts: Tensor, state: State, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        """Decodes all segments at once, as each begins from the conductor's output alone.

        Before them come the steps of each row, at most N - 1, that end a segment which the state is
        in the middle of.
        """
        size, segment = self._segment_size, state.segment
        num_rows, num_steps = (nest.leading_dim(contexts, axis) for axis in (0, 1))
        if lengths is None:
            lengths = tf.fill([num_rows], num_steps)
        place = tf.cast(segment.place[..., 0], tf.int32)
        num_old = tf.minimum(tf.math.floormod(-place, size), lengths)
        old_steps = tf.minimum(size, num_steps)
        source = nest.repeat_rows(segment.output, old_steps)
        old_outputs, old_cell = self._d_core(
            (contexts[:, :old_steps], source), state.cell, num_old)

        # Segments [B, K, N], each row's from its own first step; steps past its end are not valid.
        num_segments = (num_steps + size - 1) // size
        steps = num_old[:, tf.newaxis] + tf.range(num_segments * size)
        contexts = tf.gather(contexts, tf.minimum(steps, num_steps - 1), batch_dims=1)
        contexts = tf.reshape(contexts, [num_rows * num_segments, size, contexts.shape[-1]])
        num_new = lengths - num_old
        valid = tf.clip_by_value(
            num_new[:, tf.newaxis] - size * tf.range(num_segments), 0, size)
        num_begun = (num_new + size - 1) // size
        sources, conductor_cell = conductor(
            nest.repeat_rows(state.z, num_segments), segment.cell, num_begun)
        source = nest.merge_leading(sources)
        outputs, cells = self._d_core(
            (contexts, nest.repeat_rows(source, size)),
            _initial_state(self._initial, self._d_core, source), tf.reshape(valid, [-1]))
        outputs = tf.reshape(outputs, [num_rows, num_segments * size, outputs.shape[-1]])

        # Back to the steps of each row, and the state after the last valid one.
        steps = tf.range(num_steps) - num_old[:, tf.newaxis]
        outputs = nest.where(
            steps >= 0, tf.gather(outputs, tf.maximum(steps, 0), batch_dims=1),
            tf.pad(old_outputs, [[0, 0], [0, num_steps - old_steps], [0, 0]]))
        last = tf.maximum(num_begun - 1, 0)
        cells, sources = tf.nest.map_structure(
            lambda x: tf.gather(x, last, batch_dims=1),
            (nest.split_samples(cells, num_segments), sources))
        cell, output = nest.where(num_begun > 0, (cells, sources), (old_cell, segment.output))
        place = tf.cast(tf.math.floormod(place + lengths, size), segment.place.dtype)
        return outputs, state._replace(
            cell=cell, segment=Segment(conductor_cell, output, place[:, tf.newaxis]))

    def _with_sequence_latent(self, state: State, z: Tensor) -> State:
        """Returns the state in which z, the latent of the present step, is that of the sequence."""
        return nest.where(state.has_begun[..., 0] > 0, state, self.begin(z).latent)


def _initial_layers(stack: RecurrentStack, name: str) -> list[Linear | None]:
    """Creates the layers of `_initial_state`, one for each vector of a stack's state."""
    return [Linear(spec.shape[0], name=f"{name}_{number}")
            if spec.dtype.is_floating and spec.shape.rank == 1 else None
            for number, spec in enumerate(tf.nest.flatten(stack.state_spec))]


def _initial_state(
    layers: Sequence[Linear | None], stack: RecurrentStack, source: Tensor
) -> Nest:
    """Returns the first state of a stack, a nest of `[..., *]`, for a source `[..., F]`."""
    leading = nest.shape_of(source)[:-1]
    leaves = [tf.zeros([*leading, *spec.shape], spec.dtype) if layer is None
              else tf.tanh(layer(source))
              for layer, spec in zip(layers, tf.nest.flatten(stack.state_spec))]
    return tf.nest.pack_sequence_as(stack.state_spec, leaves)


def _drop_steps(layer: object, features: Tensor, rate: float) -> Tensor:
    """Zeroes whole steps of features `[B, T, F]`, while dropout is on; `layer` names the mask."""
    if not rate:
        return features
    ones = tf.ones([nest.leading_dim(features, axis) for axis in (0, 1)], features.dtype)
    factors = apply_dropout(layer, ones, rate)
    return features if factors is ones else lookup.mask(factors > 0, features)
