# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
r"""TDVAE: beliefs, and states that jump over many steps (Gregor et al., arXiv:1806.03107).

The temporal difference variational autoencoder. Notation: c_t context, the encoding of x_t-1;
b_t belief, a recurrence over the encodings of x_1:t; z_t state, of layers z_t^1 (lowest) to z_t^L;
x_t observation; s = t - g an earlier step, g the gap.

    Generative, from what is known at step s     Inference

    b_s                                          b_s     b_t
     |                                            |       |
     v       gap                                  |       v
    z_s ----------> z_t                           v      z_t ~ p_B(z_t | b_t)
                     |                           z_s <----'
                     v                           z_s ~ q(z_s | z_t, b_s, b_t, g)
                    x_t

    p_B(z | b)            belief distribution, the same network for z_s and for z_t
    p_T(z_t | z_s, g)     transition, with the gap as an input
    p_D(x_t | z_t)        decoder

    log w = log p_D(x_t | z_t) + log p_T(z_t | z_s, g) + log p_B(z_s | b_s)
            - log p_B(z_t | b_t) - log q(z_s | z_t, b_s, b_t, g)

z_s is inferred from the z_t that was sampled, not from its distribution. Layers are sampled from
the highest down, each given all that were sampled before it; all are evaluated at the sample.

As a core, the latent of a step is the pair [z_t-1, z_t], drawn anew at each step:

    prior        p_B(z_t-1 | b_t-1) p_T(z_t | z_t-1, 1)
    posterior    p_B(z_t | b_t) q(z_t-1 | z_t, b_t-1, b_t, 1)

So p(x_t | x_1:t-1) is the integral of p_B p_T p_D, a model of sequences like any other, whose
bounds compare with those of other cores. No latent is carried from step to step, and there is no
loop over time but that of the belief. `bounds.Jumpy` trains on gaps up to `max_gap`; its objective
at gap 1 is the ELBO. `TDVAE.jump` predicts many steps ahead without the steps between.

Deviations: networks are MLPs (the paper's are gated); there is one recurrence for the beliefs of
all layers; each layer is conditioned on all layers above it; the gap enters as its logarithm.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import nest, seeds
from vaeseq.codec import latent
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.fields import Range, declare
from vaeseq.hparams import HParams
from vaeseq.nn.networks import MLP, RecurrentStack
from vaeseq.nn.scan import unroll
from vaeseq.types import Nest, Seed, Tensor
from vaeseq.vae import _builders
from vaeseq.vae.base import CoreState, Inferred, VAECore


class Belief(NamedTuple):
    """The belief before a step, which reads the observations before it.

    Attributes:
      output: b_t-1, `[..., H]`.
      state: the recurrent state behind it.
    """

    output: Tensor
    state: Nest


class Hidden(NamedTuple):
    """h_t.

    Attributes:
      belief: b_s, `[..., H]`; s is t - 1 but for jumps.
      log_gap: log(t - s), `[..., 1]`.
    """

    belief: Tensor
    log_gap: Tensor


# Blocks sampled so far by number -> the distribution of the next one.
_Conditional = Callable[[dict[int, Tensor]], tfd.Distribution]


class _Blocks(tfd.Distribution):
    """A distribution of blocks, each sampled given those sampled before it."""

    def __init__(self, conditionals: dict[int, _Conditional], like: Tensor, size: int) -> None:
        """Creates the distribution.

        Args:
          conditionals: by the number of the block, in the order of sampling.
          like: a tensor `[..., H]` of the batch shape.
          size: of a block.
        """
        self._conditionals, self._like, self._size = conditionals, like, size
        super().__init__(
            dtype=like.dtype, reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False, allow_nan_stats=True, name="Blocks",
            parameters={"conditionals": conditionals, "like": like, "size": size})

    def _batch_shape(self) -> tf.TensorShape:
        return self._like.shape[:-1]

    def _batch_shape_tensor(self) -> Tensor:
        return tf.shape(self._like)[:-1]

    def _event_shape(self) -> tf.TensorShape:
        return tf.TensorShape([len(self._conditionals) * self._size])

    def _sample_n(self, n: int | Tensor, seed: Seed | None = None) -> Tensor:
        return tf.stack([self._draw(one) for one in seeds.split(seed, int(tf.get_static_value(n)))])

    def _draw(self, seed: Seed) -> Tensor:
        blocks: dict[int, Tensor] = {}
        numbers = seeds.split(seed, len(self._conditionals))
        for (block, conditional), one in zip(self._conditionals.items(), numbers, strict=True):
            blocks[block] = conditional(blocks).sample(seed=one)
        return tf.concat([blocks[block] for block in sorted(blocks)], -1)

    def _log_prob(self, value: Tensor) -> Tensor:
        blocks = dict(enumerate(tf.split(value, len(self._conditionals), -1)))
        return tf.add_n([conditional(blocks).log_prob(blocks[block])
                         for block, conditional in self._conditionals.items()])


@dataclasses.dataclass(frozen=True)
class Options:
    """Hyperparameters of TDVAE alone."""

    tdvae_layers: int = declare(
        2, "TDVAE: layers of the state, of latent_size numbers each", Range(1, 16))
    tdvae_max_gap: int = declare(
        10, "TDVAE: the longest jump that train_bound=jumpy trains on", Range(1, 1 << 16))
    tdvae_far_gap: int = declare(
        10, "TDVAE: the longest of the jumps in the share tdvae_far_share", Range(1, 1 << 16))
    tdvae_far_share: float = declare(
        0.0, "TDVAE: share of the jumps that are up to tdvae_far_gap long", Range(0, 1))


class TDVAE(VAECore):
    """A temporal difference variational autoencoder (graphs in the module description)."""

    Options = Options

    def __init__(
        self, decoder: DistModule, encoder: Encoder, belief: RecurrentStack,
        p_b: Sequence[latent.DiagonalNormal], p_t: Sequence[latent.DiagonalNormal],
        q: Sequence[latent.DiagonalNormal], emission: MLP, *, max_gap: int = 10,
        far_gap: int = 10, far_share: float = 0.0, name: str | None = None,
    ):
        """Creates the core.

        The networks of each distribution are those of its layers, the highest first. A network
        reads the inputs named here, then the layers above its own.

        Args:
          decoder: from the emission network's outputs to the distribution of x_t.
          encoder: from x_t to its encoding; contexts must be the encodings of x_t-1.
          belief: the recurrence over encodings.
          p_b: the belief distribution, from b.
          p_t: the transition, from [z_s, log g].
          q: the smoothing posterior, from [z_t, b_s, b_t, log g].
          emission: from z_t to what the decoder reads.
          max_gap: the longest jump that `bounds.Jumpy` trains on.
          far_gap: the longest of a share of the jumps.
          far_share: that share, 0 to 1.
        """
        self._size = p_b[0].event_spec.shape[0]
        super().__init__(decoder, latent_size=2 * len(p_b) * self._size, name=name,
                         state_spec=CoreState(belief.state_spec, ()))
        self._encoder = encoder
        self._belief = belief
        self._p_b, self._p_t, self._q = tuple(p_b), tuple(p_t), tuple(q)
        self._emission = emission
        self.max_gap, self.far_gap, self.far_share = max_gap, far_gap, far_share

    @classmethod
    def from_hparams(cls, hparams: HParams, decoder: DistModule, encoder: Encoder) -> TDVAE:
        """Builds the core from hyperparameters; the emission has `latent_decoder_fc_layers`."""
        def layers(name: str) -> list[latent.DiagonalNormal]:
            return [_builders.diagonal_normal(hparams, f"{name}_{layer}")
                    for layer in reversed(range(hparams.tdvae_layers))]

        emission = MLP(hparams.latent_decoder_fc_layers, activation=hparams.activation,
                       activate_final=True, name="emission")
        return cls(decoder, encoder, _builders.recurrent_stack(hparams, "belief"),
                   layers("p_b"), layers("p_t"), layers("q"), emission,
                   max_gap=hparams.tdvae_max_gap, far_gap=hparams.tdvae_far_gap,
                   far_share=hparams.tdvae_far_share)

    def encode_contexts(
        self, contexts: Tensor, state: Nest, lengths: Tensor | None = None
    ) -> tuple[Belief, Nest]:
        if contexts.shape[-1] != self._encoder.output_size:
            raise ValueError(
                "TDVAE's belief reads encodings of the last observation; expected contexts of "
                f"{self._encoder.output_size} numbers, as the encoder gives, got "
                f"{contexts.shape[-1]}. Leave out what the agent adds to them, or take another "
                "vae_type.")

        def step(context: Tensor, state: Nest) -> tuple[Belief, Nest]:
            output, state = self._belief.step(context, state)
            return Belief(output, state), state

        return unroll.scan(step, contexts, state, lengths)

    def encode_observed(
        self, context_features: Belief, observed: Nest, lengths: Tensor | None = None
    ) -> Tensor:
        return self._belief.step(self._encoder(observed), context_features.state)[0]

    def hidden(self, context_feature: Belief, state: Nest) -> Hidden:
        belief = context_feature.output
        return Hidden(belief, tf.zeros_like(belief[..., :1]))

    def prior(self, h: Hidden) -> tfd.Distribution:
        earlier, later = self._blocks(0), self._blocks(1)
        return _Blocks({
            **self._layers(self._p_b, earlier, (h.belief,)),
            **self._layers(self._p_t, later, (h.log_gap,), earlier)}, h.belief, self._size)

    def posterior(self, h: Hidden, feature: Tensor) -> tfd.Distribution:
        earlier, later = self._blocks(0), self._blocks(1)
        return _Blocks({
            **self._layers(self._p_b, later, (feature,)),
            **self._layers(self._q, earlier, (h.belief, feature, h.log_gap), later)},
            h.belief, self._size)

    def update(self, h: Hidden, z: Tensor) -> tuple[Tensor, Nest]:
        return self._emission(z[..., self.latent_size // 2:]), ()

    def infer(
        self, context_features: Nest, features: Nest, state: Nest, lengths: Tensor | None = None, *,
        seed: Seed,
    ) -> Inferred:
        h = self.hidden(context_features, state)
        q_z = self.posterior(h, features)
        z = q_z.sample(seed=seeds.make(seed))
        return Inferred(z, self.prior(h), q_z, self.update(h, z)[0], state)

    def infer_given(
        self, context_features: Nest, features: Nest, latents: Tensor, state: Nest,
        lengths: Tensor | None = None,
    ) -> Inferred:
        h = self.hidden(context_features, state)
        return Inferred(latents, self.prior(h), self.posterior(h, features),
                        self.update(h, latents)[0], state)

    def over_gaps(self, context_features: Belief, features: Tensor, gaps: Tensor) -> Hidden:
        """Returns h_t for jumps from step t - g to step t.

        Args:
          context_features: the result of `encode_contexts`, of `[B, T, ...]`.
          features: the result of `encode_observed`, `[B, T, H]`.
          gaps: g, int32 `[B, T]`, from 1 to t (the first step of the window is 1).
        """
        beliefs = tf.concat([context_features.output[:, :1], features], 1)  # of b_0 to b_T
        steps = tf.range(1, nest.leading_dim(features, 1) + 1)
        log_gap = tf.math.log(tf.cast(gaps, features.dtype))[..., tf.newaxis]
        return Hidden(tf.gather(beliefs, steps - gaps, batch_dims=1), log_gap)

    def jump(self, belief: Tensor, gaps: Tensor, *, seed: int | Seed) -> Tensor:
        """Samples states ahead of a belief, each from the last, without the steps between.

        Args:
          belief: b_t, `[B, H]`: a step of the result of `encode_observed`.
          gaps: int32 `[B, N]`, the steps from each state to the next, at least 1.
          seed: a number or int32 `[2]`.

        Returns:
          The decoder's inputs at step t plus the sum of the gaps so far, `[B, N, F]`.
        """
        gaps = tf.convert_to_tensor(gaps)
        first_seed, scan_seed = seeds.split(seed, 2)
        earlier, later = self._blocks(0), self._blocks(1)
        z = _Blocks(self._layers(self._p_b, earlier, (belief,)), belief, self._size).sample(
            seed=first_seed)

        def step(inputs: tuple, z: Tensor) -> tuple[Tensor, Tensor]:
            gap, step_seed = inputs
            log_gap = tf.math.log(tf.cast(gap, z.dtype))[..., tf.newaxis]
            values = dict(zip(sorted(earlier), tf.split(z, len(earlier), -1), strict=True))
            conditionals = self._layers(self._p_t, later, (log_gap,), earlier)
            numbers = seeds.split(step_seed[0], len(later))
            for (block, conditional), one in zip(conditionals.items(), numbers, strict=True):
                values[block] = conditional(values).sample(seed=one)
            z = tf.concat([values[block] for block in sorted(later)], -1)
            return self._emission(z), z

        step_seeds = seeds.per_step(scan_seed, nest.leading_dim(gaps, 1))
        return unroll.scan(step, (gaps, step_seeds), z)[0]

    def _blocks(self, state: int) -> list[int]:
        """Returns the numbers of the blocks of z_s (0) or of z_t (1), the highest layer first."""
        num_layers = len(self._p_b)
        return [state * num_layers + layer for layer in reversed(range(num_layers))]

    def _layers(
        self, networks: Sequence[latent.DiagonalNormal], blocks: list[int],
        inputs: tuple[Tensor, ...], parents: Sequence[int] = (),
    ) -> dict[int, _Conditional]:
        """Returns the conditionals of the layers of one state, whose networks have the highest
        first.

        Every network reads the inputs, and the blocks of the other state, `parents`.
        """
        def conditional(layer: int) -> _Conditional:
            def distribution(values: dict[int, Tensor]) -> tfd.Distribution:
                read = [values[block] for block in (*parents, *blocks[:layer])]
                return networks[layer].distribution((*inputs, *read))

            return distribution

        return {block: conditional(layer) for layer, block in enumerate(blocks)}
