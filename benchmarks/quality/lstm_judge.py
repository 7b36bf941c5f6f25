# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A small LSTM that judges samples of symbols: as a language model, and by its features.

Trained on real data it scores samples (forward); trained on samples it scores real data (reverse).
The means of its outputs over a sequence are features for the Frechet distance.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from vaeseq import data, nest, seeds, vae
from vaeseq.agent import EncodeObserved
from vaeseq.bounds import ELBO
from vaeseq.codec import decoders, encoders
from vaeseq.compilation import compiled
from vaeseq.hparams import HParams
from vaeseq.train import schedules
from vaeseq.train.loss import SequenceLoss
from vaeseq.train.ops import TrainOps
from vaeseq.types import Tensor

_SYMBOL = tf.TensorSpec([], tf.int32)
_ROWS = 64
_RATE = 5e-3


class LSTMJudge:
    """A language model of symbols that can be trained again and again, but is compiled once."""

    def __init__(
        self, vocabulary_size: int, longest: int, *, num_steps: int = 300, units: int = 64,
        seed: int = 0,
    ):
        """Creates the model of V symbols, which reads the first `longest` symbols of a sequence.

        `fit` makes `num_steps` updates, each of 64 sequences. The LSTM layer and the embeddings
        have `units` units.
        """
        self._longest = longest
        self._num_steps = num_steps
        self._seed = seed
        encoder = encoders.Embed(vocabulary_size, units)
        core = vae.make(HParams(vae_type="RNN", rnn_hidden_sizes=(units,)),
                        decoders.Categorical(vocabulary_size, _SYMBOL), encoder)
        assert isinstance(core, vae.VAECore)
        self._agent, self._core = EncodeObserved(encoder, _SYMBOL), core
        self._ops = TrainOps(
            SequenceLoss(self._agent, core, ELBO()), seed=seed, adam_beta2=0.99,
            learning_rate=lambda step: schedules.learning_rate(
                step, highest=_RATE, schedule="cosine", num_steps=num_steps))
        self._ops.build(data.pad([np.zeros([1], np.int32)], longest))
        self._initial = [v.numpy() for v in self._ops.variables]
        self._judge = compiled(self._judge_batch)

    def fit(self, sequences: Sequence[np.ndarray]) -> None:
        """Trains on symbols, each `[N]`, from the initial weights."""
        for variable, value in zip(self._ops.variables, self._initial, strict=True):
            variable.assign(value)
        rng = np.random.default_rng(self._seed)
        state = self._ops.initial_state(_ROWS)
        for _ in range(self._num_steps):
            rows = rng.integers(len(sequences), size=_ROWS)
            _, state = self._ops(
                data.pad([sequences[row][:self._longest] for row in rows], self._longest), state)

    def nats_per_symbol(self, sequences: Sequence[np.ndarray]) -> float:
        """Returns the mean negative log-probability; its exponential is the perplexity."""
        nats = sum(float(nats.numpy().sum()) for nats, _ in self._batches(sequences))
        return -nats / sum(min(len(sequence), self._longest) for sequence in sequences)

    def features(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the means of the LSTM's outputs over each sequence, `[N, H]`."""
        return np.concatenate([features.numpy() for _, features in self._batches(sequences)])

    def _batches(self, sequences: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields log-probabilities `[B]` and features `[B, H]`."""
        for first in range(0, len(sequences), _ROWS):
            group = [sequence[:self._longest] for sequence in sequences[first:first + _ROWS]]
            empty = [group[0][:0]] * (_ROWS - len(group))
            batch = data.as_tensors(data.pad([*group, *empty], self._longest), _SYMBOL)
            log_probs, features = self._judge(batch.observed, batch.lengths)
            yield log_probs[:len(group)], features[:len(group)]

    def _judge_batch(self, observed: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        contexts, _ = self._agent.contexts(
            observed, self._agent.initial_state(_ROWS), (), lengths, seed=seeds.make(0))
        outputs, _ = self._core.encode_contexts(
            contexts, self._core.initial_state(_ROWS).context, lengths)
        log_probs = nest.mask_time(self._core.log_prob(outputs, observed), lengths)
        steps = tf.maximum(tf.cast(lengths, outputs.dtype), 1)[:, tf.newaxis]
        return tf.reduce_sum(log_probs, 1), tf.reduce_sum(
            nest.mask_time(outputs, lengths), 1) / steps
