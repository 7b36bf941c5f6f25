# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of text: characters in, a categorical distribution of the next one out."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

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

from .data import UNKNOWN, Vocabulary, contiguous
from .hparams import TextHParams
from .texts import Description

PROGRAM = "vaeseq-text"
_VOCABULARY = "vocabulary.json"
_MOST_VOCABULARY = 1 << 24  # characters of that file
_WINDOW = 1024  # characters scored in one compiled call
_UNSEEN = -8.0  # first logit of the symbols for characters outside the vocabulary


class TextModel(Model):
    """A model of text (see `vaeseq.model.Model`); sequences are arrays of symbols `[N]`.

    Attributes:
      vocabulary: what the symbols mean.
      origin: what the first weights are from, where they are another run's.
      step: of the checkpoint that `load` restored.
    """

    hparams: TextHParams
    program = PROGRAM
    unit = "character"
    observation_spec = tf.TensorSpec([], tf.int32, "symbol")

    def __init__(
        self, hparams: TextHParams, vocabulary: Vocabulary, log_dir: str | os.PathLike[str], *,
        seed: int = 0, trained_on: Description | None = None,
    ):
        """Creates the model; arguments as for `Model`, and the vocabulary.

        Args:
          hparams: sizes and kinds.
          vocabulary: what the symbols mean.
          log_dir: of the run.
          seed: of everything random in training.
          trained_on: kept in the log directory, so that the held-out text is found again.
        """
        self.vocabulary = vocabulary
        self.origin: Origin | None = None
        self.step = 0
        self._trained_on = trained_on
        super().__init__(hparams, log_dir, seed=seed)

    @classmethod
    def load(cls, log_dir: str | os.PathLike[str]) -> TextModel:
        """The model that was trained in `log_dir`; raises ValueError if there is none."""
        directory = LogDir(log_dir, PROGRAM)
        hparams = directory.hparams(TextHParams)
        model = cls(hparams, saved_vocabulary(directory), log_dir, seed=directory.seed())
        model.step = model.restore()
        return model

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
        return np.concatenate([known, np.full(self.vocabulary.oov_buckets, _UNSEEN)])

    def data_set(self, sequences: Sequence[np.ndarray]) -> DataSet:
        (symbols,) = sequences
        return data_lib.Streams(
            symbols, self.hparams.batch_size, self.hparams.sequence_size, seed=self._seed)

    def validation_batches(self, sequences: Sequence[np.ndarray]) -> Iterable[Batch]:
        """One text cut into rows that each begin from nothing: quick, and a little pessimistic."""
        (symbols,) = sequences
        rows = contiguous(symbols, 32)
        return data_lib.windows(rows, len(rows), 256)

    def score_text(
        self, symbols: np.ndarray, *, bound: str = "elbo", num_samples: int | None = None,
        seed: int = 0,
    ) -> tuple[Score, np.ndarray]:
        """How probable one text is, from its beginning to its end in one go.

        Args:
          symbols: `[N]`.
          bound: see `Model.evaluate`; so are the samples and the seed.
          num_samples: see there.
          seed: see there.

        Returns:
          The score and the surprise of each symbol, nats, `[N]`.
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
        """Asserts in a graph that all of `[...]` are symbols of the vocabulary."""
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
    """The text without the control characters that could command a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else UNKNOWN for c in text)


def saved_vocabulary(log_dir: LogDir) -> Vocabulary:
    """The vocabulary of a run; raises ValueError where it is missing or damaged."""
    text = log_dir.read(_VOCABULARY, _MOST_VOCABULARY)
    return Vocabulary.from_json(text, repr(str(log_dir.path / _VOCABULARY)))
