# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of text: reads characters, gives a categorical distribution of the next one."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq import data as data_lib
from vaeseq import seeds
from vaeseq.codec import decoders, encoders
from vaeseq.data import Batch, DataSet
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.evaluate.likelihood import Score, Window
from vaeseq.model import Model
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.runs.warm_start import Origin
from vaeseq.train.metrics import Writer

from .data import UNKNOWN, Vocabulary
from .data.corpus import split_rows
from .data.sources import Description
from .hparams import TextHParams

PROGRAM = "vaeseq-text"
_VOCABULARY = "vocabulary.json"
_MOST_VOCABULARY = 1 << 24  # characters of that file
_WINDOW = 1024  # characters scored in one compiled call
_OOV_LOGIT = -8.0  # initial logit of out-of-vocabulary symbols


class TextModel(Model):
    """A model of text (see `vaeseq.model.Model`); sequences are arrays of symbols `[N]`.

    Attributes:
      vocabulary: maps characters to symbols.
      origin: the run that a warm start took the initial weights from, if any.
    """

    hparams: TextHParams
    hparams_class = TextHParams
    program = PROGRAM
    unit = "character"
    observation_spec = tf.TensorSpec([], tf.int32, "symbol")

    def __init__(
        self, hparams: TextHParams, vocabulary: Vocabulary, log_dir: str | os.PathLike[str], *,
        seed: int = 0, trained_on: Description | None = None,
    ):
        """Creates the model.

        Args:
          hparams: the hyperparameters.
          vocabulary: maps characters to symbols.
          log_dir: the directory of the run.
          seed: of weights, batches and all other randomness of training.
          trained_on: written into the log directory, to find the held-out text later.
        """
        self.vocabulary = vocabulary
        self.origin: Origin | None = None
        self._trained_on = trained_on
        super().__init__(hparams, log_dir, seed=seed)

    @classmethod
    def arguments_of(cls, run: LogDir) -> dict[str, Any]:
        return {"vocabulary": saved_vocabulary(run)}

    def make_encoder(self) -> Encoder:
        embed = encoders.Embed(len(self.vocabulary), self.hparams.embed_size)
        features = tf.TensorSpec([self.hparams.embed_size], tf.float32)
        layers = encoders.MLPEncoder(
            features, self.hparams.obs_encoder_fc_layers, activation=self.hparams.activation)
        return encoders.EncoderSequence([embed, layers])

    def make_decoder(self) -> DistModule:
        return decoders.Categorical(
            len(self.vocabulary), self.observation_spec,
            hidden_sizes=self.hparams.obs_decoder_fc_hidden_layers,
            activation=self.hparams.activation, initial_logits=self._initial_logits())

    def _initial_logits(self) -> np.ndarray:
        known = np.zeros(len(self.vocabulary.characters))
        return np.concatenate([known, np.full(self.vocabulary.oov_buckets, _OOV_LOGIT)])

    def data_set(self, sequences: Sequence[np.ndarray]) -> DataSet:
        (symbols,) = sequences
        return data_lib.Streams(
            symbols, self.hparams.batch_size, self.hparams.sequence_size, seed=self._seed)

    def validation_batches(self, sequences: Sequence[np.ndarray]) -> Iterable[Batch]:
        """Splits one text into rows that start from the initial state: fast, a bit pessimistic."""
        rows = split_rows(sequences[0], 32) if len(sequences) == 1 else sequences
        return data_lib.windows(rows, len(rows), 256)

    def score_text(
        self, symbols: np.ndarray, *, bound: str = "elbo", num_samples: int | None = None,
        seed: int = 0,
    ) -> tuple[Score, np.ndarray]:
        """Scores one text, with the state carried from its beginning to its end.

        Args:
          symbols: the text, `[N]`.
          bound: "elbo", "iwae" or "fivo"; models without latents are scored exactly.
          num_samples: of the latents; by default the hyperparameter `log_prob_samples`.
          seed: of these samples.

        Returns:
          The score, and the surprise (negative log-probability) of each symbol in nats, `[N]`.
        """
        evaluator = self.evaluator(bound, num_samples)
        surprises = np.zeros(len(symbols), np.float32)

        def windows(progress: Progress) -> Iterator[Window]:
            done = 0
            batches = data_lib.windows(
                [symbols], 1, min(data_lib.bucket(len(symbols)), _WINDOW))
            for window in evaluator.windows(batches, seed=seeds.make(seed)):
                steps = int(window.lengths[0])
                surprises[done:done + steps] = -window.increments[0, :steps]
                done += steps
                progress.advance(steps, steps)
                yield window

        with Progress("evaluate", total=len(symbols), unit=self.unit) as progress:
            return evaluator.pool(windows(progress)), surprises

    def expect_symbols(self, symbols: tf.Tensor) -> list[tf.Operation]:
        """Returns the assertion that all `symbols`, `[...]`, are in the vocabulary."""
        size = len(self.vocabulary)
        return [tf.debugging.Assert(tf.reduce_all((symbols >= 0) & (symbols < size)),
                                    [f"expected symbols from 0 to {size - 1}"])]

    def save_files(self) -> None:
        self.log_dir.write(_VOCABULARY, self.vocabulary.to_json())
        if self.origin is not None:
            self.origin.save(self.log_dir)
        if self._trained_on is not None:
            self._trained_on.save(self.log_dir)

    def after_validation(self, step: int, writer: Writer, log: Callable[[str], None]) -> None:
        (symbols,) = self.generate(length=200, seed=step)
        text = self.vocabulary.decode(symbols)
        writer.text(step, "sample", text)
        log("\n".join(f"    | {line}" for line in _printable(text).split("\n")))


def _printable(text: str) -> str:
    """Replaces control characters, which could send commands to a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else UNKNOWN for c in text)


def saved_vocabulary(log_dir: LogDir) -> Vocabulary:
    """Reads the vocabulary of a run; raises ValueError where it is missing or damaged."""
    text = log_dir.read(_VOCABULARY, _MOST_VOCABULARY)
    return Vocabulary.from_json(text, repr(str(log_dir.path / _VOCABULARY)))
