# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Small models over random observations, whose training steps and samplers are timed."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import agent, bounds, data, seeds, vae
from vaeseq.codec import decoders, encoders
from vaeseq.hparams import HParams
from vaeseq.train import SequenceLoss, TrainOps, distribute
from vaeseq.types import Spec

_SYMBOLS = 65
_NOTES = 88


class Setup(NamedTuple):
    """A model, and a batch of full sequences `[batch, time, ...]` for it."""

    gen_core: vae.GenCore
    batch: data.Batch


def make(
    hparams: HParams, codec: str, batch_size: int, steps: int, *,
    encoder_layers: Sequence[int] = (),
) -> Setup:
    """Returns a model and random observations of sequences of `steps` steps.

    The codec is "text" (symbols), "notes" (piano roll) or "masked" (the same, masked output layer);
    the encoder of notes has `encoder_layers` hidden layers.
    """
    rng = np.random.default_rng(0)
    if codec == "text":
        spec = Spec([], tf.int32)
        encoder, decoder = encoders.Embed(_SYMBOLS, 64), decoders.Categorical(_SYMBOLS, spec)
        observed = rng.integers(0, _SYMBOLS, [batch_size, steps])
    else:
        spec = Spec([_NOTES], tf.float32)
        encoder = encoders.MLPEncoder(spec, encoder_layers)
        decoder = (decoders.MaskedBernoulli(spec, hidden_sizes=(600,)) if codec == "masked"
                   else decoders.Bernoulli(spec, hidden_sizes=hparams.rnn_hidden_sizes))
        observed = (rng.random([batch_size, steps, _NOTES]) < 0.05).astype(np.float32)
    gen_core = vae.GenCore(
        agent.EncodeObserved(encoder, spec), vae.make(hparams, decoder, encoder))
    lengths = np.full([batch_size], steps, np.int32)
    return Setup(gen_core, data.Batch(observed, lengths, np.ones([batch_size], bool)))


def train_ops(
    setup: Setup, *, bound: bounds.Bound | None = None, num_shards: int = 1,
    precision: str = "float32", strategy: distribute.Strategy = distribute.SINGLE_PROCESS,
) -> TrainOps:
    """Returns the built training operations of a model."""
    ops = TrainOps(
        SequenceLoss(setup.gen_core.agent, setup.gen_core.core, bound or bounds.ELBO()),
        learning_rate=lambda step: 1e-3, num_shards=num_shards, precision=precision,
        seed=seeds.make(0), strategy=strategy)
    ops.build(setup.batch)
    return ops


def sampler(setup: Setup) -> Callable[[], object]:
    """Returns a function that samples a batch of sequences as long as the observations."""
    batch_size, steps = setup.batch.observed.shape[:2]
    state = setup.gen_core.initial_state(batch_size)
    return lambda: next(setup.gen_core.stream(
        state, chunk=steps, seed=seeds.make(0))).observed.numpy()
