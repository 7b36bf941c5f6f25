# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""`TrainOps` as hyperparameters describe them."""
from __future__ import annotations

from vaeseq import bounds, schedules, shards
from vaeseq.distribute import ALONE, Workers
from vaeseq.hparams import HParams
from vaeseq.train import TrainOps
from vaeseq.types import Seed
from vaeseq.vae import GenCore


def train_ops(
    gen_core: GenCore, hparams: HParams, *, num_steps: int = 1, jit_compile: bool = True,
    seed: Seed, workers: Workers = ALONE,
) -> TrainOps:
    """What trains an agent and a core.

    Args:
      gen_core: the two.
      hparams: the bound, the schedules, the optimizer.
      num_steps: updates in all, which the learning rate's "cosine" schedule asks for.
      jit_compile: compile with XLA.
      seed: int32 `[2]`, of everything random in training.
      workers: who shares the rows of each batch.
    """
    h = hparams
    return TrainOps(
        gen_core.agent, gen_core.core,
        bounds.make(h.train_bound, h.train_samples, monte_carlo=h.use_monte_carlo_kl,
                    free_bits=h.free_bits),
        learning_rate=lambda step: schedules.learning_rate(
            step, highest=h.learning_rate, schedule=h.learning_rate_schedule,
            num_steps=num_steps, warmup_steps=h.warmup_steps, final=h.learning_rate_final,
            half=h.learning_rate_half),
        divergence_strength=lambda step: schedules.divergence_strength(
            step, start=h.divergence_strength_start, half=h.divergence_strength_half),
        clip_gradient_norm=h.clip_gradient_norm, l1_regularization=h.l1_regularization,
        l2_regularization=h.l2_regularization, weight_decay=h.weight_decay,
        context_dropout=h.context_dropout, adam_beta2=h.adam_beta2, check_numerics=h.check_numerics,
        num_shards=shards.default_shards() if h.num_shards == "auto" else h.num_shards,
        precision=h.precision, jit_compile=jit_compile, seed=seed, workers=workers)
