# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Objectives of sequence autoencoders that are not bounds on the likelihood.

All report log p(x_1:T | z) with z of the posterior: how well sequences are reconstructed. They
differ in what training subtracts from it, so that the latents of all sequences together look like
draws of the prior:

    reconstruction   nothing (a plain autoencoder)
    mmd              kl_weight * MMD^2 between the latents of a batch and draws of the prior, for
                     each sequence (WAE-MMD, arXiv:1711.01558)
    adversarial      kl_weight * -log sigmoid(critic(z)), for each sequence, where the critic learns
                     in the same update to tell draws of the prior (1) from latents (0): an
                     adversarial autoencoder (arXiv:1511.05644) with the non-saturating loss

They charge a sequence at its first step. `mmd` compares the sequences of one shard of a batch,
which `train.ops.shards_of` keeps large.
"""
from __future__ import annotations

import tensorflow as tf

from vaeseq import nest, seeds
from vaeseq.bounds import mmd
from vaeseq.bounds._averaged import AveragedBound
from vaeseq.bounds._importance import WeightedSamples
from vaeseq.bounds.base import BoundState
from vaeseq.nn.networks import MLP
from vaeseq.types import Seed, Tensor
from vaeseq.vae.base import SequenceCore
from vaeseq.vae.seqae import SEQAE


class Reconstruction(AveragedBound):
    """log p(x_1:T | z_1:T) of any core, with latents of the posterior."""

    name = "reconstruction"

    def terms(
        self, core: SequenceCore, samples: WeightedSamples, state: BoundState,
        lengths: Tensor | None, *, kl_weight: float | Tensor, seed: Seed,
    ) -> tuple[Tensor, Tensor]:
        return samples.log_prob, samples.log_prob


class MMD(AveragedBound):
    """The reconstruction of a `SEQAE`, minus the discrepancy of its latents from the prior."""

    name = "mmd"

    def check(self, core: SequenceCore) -> SEQAE:
        return _check(core, self.name)

    def terms(
        self, core: SequenceCore, samples: WeightedSamples, state: BoundState,
        lengths: Tensor | None, *, kl_weight: float | Tensor, seed: Seed,
    ) -> tuple[Tensor, Tensor]:
        z, begins = _sequence_latents(samples, state, lengths)
        prior = _prior(z, seed)
        # Samples of one sequence are not independent draws of the aggregate posterior.
        penalty = tf.add_n([
            mmd.squared_mmd(z[:, s], prior[:, s], is_valid=begins[:, s])
            for s in range(self.num_samples)]) / self.num_samples
        return samples.log_prob, _charge(samples.log_prob, begins, kl_weight * penalty)


class Adversarial(AveragedBound):
    """The reconstruction of a `SEQAE`, minus the loss of its encoder against its critic."""

    name = "adversarial"

    def check(self, core: SequenceCore) -> SEQAE:
        _critic(core)
        return _check(core, self.name)

    def terms(
        self, core: SequenceCore, samples: WeightedSamples, state: BoundState,
        lengths: Tensor | None, *, kl_weight: float | Tensor, seed: Seed,
    ) -> tuple[Tensor, Tensor]:
        z, begins = _sequence_latents(samples, state, lengths)
        critic = _critic(core)
        real = critic(_prior(z, seed))[..., 0]
        # The critic learns from latents that are constants, the encoder from a critic that is: the
        # gradients of the weights in `logits` and in `fixed` cancel.
        logits, fixed = critic(z)[..., 0], critic(tf.stop_gradient(z))[..., 0]
        critic_loss = tf.nn.softplus(-real) + tf.nn.softplus(fixed)
        encoder_loss = tf.nn.softplus(-(logits - fixed + tf.stop_gradient(fixed)))
        return samples.log_prob, _charge(
            samples.log_prob, begins, kl_weight * encoder_loss + critic_loss)


def _check(core: SequenceCore, name: str) -> SEQAE:
    if not isinstance(core, SEQAE):
        raise ValueError(f"the bound {name!r} compares the latents of whole sequences; expected "
                         f"vae_type=SEQAE, got {type(core).__name__}. Take train_bound=elbo.")
    return core


def _critic(core: SequenceCore) -> MLP:
    critic = _check(core, Adversarial.name).critic
    if critic is None:
        raise ValueError("the bound 'adversarial' trains a critic, which the core does not have. "
                         "Build it with train_bound=adversarial.")
    return critic


def _sequence_latents(
    samples: WeightedSamples, state: BoundState, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Returns the latents of the first step, `[B, S, Z]`, and which begin there, `[B, S]`."""
    begins = state.latent.has_begun[..., 0] == 0
    if lengths is not None:
        begins &= lengths[:, tf.newaxis] > 0
    return samples.z[:, :, 0], begins


def _prior(z: Tensor, seed: Seed) -> Tensor:
    return seeds.normal(nest.shape_of(z), seeds.fold_in(seed, 1), z.dtype)


def _charge(log_prob: Tensor, begins: Tensor, penalty: Tensor) -> Tensor:
    """Subtracts a penalty, a scalar or `[B, S]`, from the first steps of samples that begin."""
    charged = tf.where(begins, penalty, tf.zeros_like(penalty))
    return tf.concat([log_prob[..., :1] - charged[..., tf.newaxis], log_prob[..., 1:]], -1)
