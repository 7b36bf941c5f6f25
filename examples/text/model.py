# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of text: reads symbols, gives a categorical distribution of the next one."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq import agent as agent_lib
from vaeseq import data as data_lib
from vaeseq import seeds
from vaeseq.agent import Agent
from vaeseq.codec import decoders, encoders
from vaeseq.data import Batch, DataSet
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.evaluate import validation
from vaeseq.evaluate.likelihood import Score, Window
from vaeseq.model import Model
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.runs.warm_start import Origin
from vaeseq.train.metrics import Writer
from vaeseq.train.trainer import Callback, TrainResult

from .data import UNKNOWN, Tokens, tokenization, units
from .data.corpus import split_rows
from .data.sources import Description
from .data.streams import TextStreams
from .ending_agent import EndingAgent
from .hparams import TextHParams
from .output import page

PROGRAM = "vaeseq-text"
_VOCABULARY = "vocabulary.json"
_MOST_VOCABULARY = 1 << 30  # characters of that file, enough for 2^20 strings of 128 bytes
_WINDOW = 1024  # symbols scored in one compiled call
_VALIDATION_ROWS = 32
_SHORTEST_SHARE = 4  # lines are padded to the window, or a half or a quarter of it
_SHOWN_LINES = 5  # of a sample in validation


class TextModel(Model):
    """A model of text (see `vaeseq.model.Model`); sequences are texts, arrays of symbols `[N]`.

    Attributes:
      vocabulary: maps text to symbols.
      origin: the run that a warm start took the initial weights from, if any.
    """

    hparams: TextHParams
    hparams_class = TextHParams
    program = PROGRAM
    observation_spec = tf.TensorSpec([], tf.int32, "symbol")

    def __init__(
        self, hparams: TextHParams, vocabulary: Tokens, log_dir: str | os.PathLike[str], *,
        seed: int = 0, trained_on: Description | None = None,
    ):
        """Creates the model; `log_dir` will hold `trained_on`, to find the held-out text later."""
        self.vocabulary = vocabulary
        self.unit = vocabulary.unit
        self.origin: Origin | None = None
        self._trained_on = trained_on
        self._last_score = _LastScore()
        self._characters_per_symbol = 1.0
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
            activation=self.hparams.activation, initial_logits=self.vocabulary.initial_logits())

    def make_agent(self, encoder: Encoder) -> Agent:
        if self.hparams.unit == "text":
            return agent_lib.EncodeObserved(encoder, self.observation_spec)
        return EndingAgent(
            encoder, self.observation_spec, units.end_symbol(self.vocabulary),
            units.NEWLINES[self.hparams.unit])

    def split(self, texts: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Returns the sequences of texts, which the hyperparameter `unit` chooses."""
        if self.hparams.unit == "text":
            return texts
        return units.split(
            texts, units.end_symbol(self.vocabulary), units.NEWLINES[self.hparams.unit])

    def encode_prime(self, text: str) -> np.ndarray | None:
        """Returns the symbols of a text that samples continue; None if they begin anew.

        Of a model of lines or paragraphs they are those of the last one, unless that has ended.
        """
        symbols = self.vocabulary.encode(text)
        if not len(symbols) or self.hparams.unit == "text":
            return symbols if len(symbols) else None
        last = self.split([symbols])[-1]
        end = [units.end_symbol(self.vocabulary)] * units.NEWLINES[self.hparams.unit]
        return None if last[-len(end):].tolist() == end else last

    def data_set(self, sequences: Sequence[np.ndarray]) -> DataSet:
        batch_size, sequence_size = self.hparams.batch_size, self.hparams.sequence_size
        if self.hparams.unit != "text":
            sequences = self.split(sequences)
            if data_lib.sizes(sequences).max(initial=0) <= sequence_size:
                return data_lib.Sequences(
                    sequences, batch_size, sequence_size, seed=self._seed,
                    shortest=sequence_size // _SHORTEST_SHARE)
        if len(sequences) == 1:
            return data_lib.Streams(
                sequences[0], batch_size, sequence_size, seed=self._seed)
        return TextStreams(sequences, batch_size, sequence_size, seed=self._seed)

    def validation_batches(self, sequences: Sequence[np.ndarray]) -> Iterable[Batch]:
        """Splits one text into rows that start from the initial state: fast, a bit pessimistic."""
        rows = (split_rows(sequences[0], _VALIDATION_ROWS) if len(sequences) == 1
                else sorted(sequences, key=len))  # rows of similar length need less padding
        size = min(256, data_lib.bucket(max(map(len, rows), default=1)))
        return data_lib.windows(rows, min(len(rows), _VALIDATION_ROWS), size)

    def train(
        self, sequences: Sequence[np.ndarray], *, valid: Sequence[np.ndarray] = (),
        valid_steps: int = validation.DEFAULT_STEPS, callbacks: Sequence[Callback] = (),
        **options: Any,
    ) -> TrainResult:
        """Trains the model on texts, each `[N]`; see `vaeseq.model.Model.train`."""
        valid = self.split(valid)
        if self.unit != "character":
            sample = validation.spread_sample(valid, valid_steps) if valid_steps else valid
            self._characters_per_symbol = self.characters_per_symbol(sample)
            callbacks = [*callbacks, self._last_score]
        return super().train(
            sequences, valid=valid, valid_steps=valid_steps, callbacks=callbacks, **options)

    def characters_per_symbol(self, texts: Sequence[np.ndarray]) -> float:
        """Returns the average number of characters of a symbol in texts, each `[N]`."""
        characters = sum(map(self.vocabulary.num_characters, texts))
        return characters / max(1, sum(map(len, texts)))

    def score_text(
        self, symbols: np.ndarray | Sequence[np.ndarray], *, bound: str | None = None,
        num_samples: int | None = None, seed: int = 0,
    ) -> tuple[Score, np.ndarray]:
        """Scores a text, with the state carried from its beginning to its end.

        Args:
          symbols: the text, `[N]`; or its parts, N symbols in all, which start from the initial
            state.
          bound: as for `evaluate`.
          num_samples: of the latents; by default the hyperparameter `log_prob_samples`.
          seed: of these samples.

        Returns:
          The score, and the surprise (negative log-probability) of each symbol in nats, `[N]`.
        """
        parts = self.split([symbols] if isinstance(symbols, np.ndarray) else symbols)
        sizes = data_lib.sizes(parts)
        size = int(sizes.sum())
        evaluator = self.evaluator(bound, num_samples)
        surprises = np.zeros(size, np.float32)
        # Whole texts are read one after the other, as they may be long; lines many at once.
        rows = 1 if self.hparams.unit == "text" else min(_VALIDATION_ROWS, max(1, len(parts)))
        window_size = min(data_lib.bucket(int(sizes.max(initial=0))), _WINDOW)

        def windows(progress: Progress) -> Iterator[Window]:
            batches = data_lib.windows(parts, rows, window_size)
            for places, window in zip(
                    _places(parts, rows, window_size),
                    evaluator.windows(batches, seed=seeds.make(seed)), strict=True):
                for place, steps, increments in zip(
                        places, window.lengths.tolist(), window.increments):
                    surprises[place:place + steps] = -increments[:steps]
                steps = int(window.lengths.sum())
                progress.advance(steps, steps)
                yield window

        with Progress("evaluate", total=size, unit=self.unit) as progress:
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
        if self._last_score.nats_per_symbol is not None and self._characters_per_symbol:
            nats = self._last_score.nats_per_symbol / self._characters_per_symbol
            log(f"step {step}: validation {nats:.4f} nats per character")
        count = 1 if self.hparams.unit == "text" else _SHOWN_LINES
        samples = self.generate(num_samples=count, length=200, seed=step)
        text = "".join(map(self.vocabulary.decode, samples))
        writer.text(step, "sample", text)
        log("\n".join(f"    | {line}" for line in _printable(text).split("\n")))


class _LastScore(Callback):
    """Keeps the score of the last validation."""

    nats_per_symbol: float | None = None  # of that score; None before the first

    def on_validation(self, step: int, score: Score) -> None:
        self.nats_per_symbol = score.nats_per_step


def _places(parts: Sequence[np.ndarray], rows: int, size: int) -> Iterator[list[int]]:
    """Yields where in the whole each row of each batch of `data.windows` begins."""
    starts = np.cumsum([0, *data_lib.sizes(parts)]).tolist()
    for first in range(0, len(parts), rows):
        longest = max(map(len, parts[first:first + rows]))
        for step in range(0, max(1, longest), size):
            yield [start + step for start in starts[first:min(first + rows, len(parts))]]


def _printable(text: str) -> str:
    """Replaces control characters, which could send commands to a terminal."""
    return "".join(c if page.is_text(c) else UNKNOWN for c in text)


def saved_vocabulary(log_dir: LogDir) -> Tokens:
    """Reads the vocabulary of a run; raises ValueError where it is missing or damaged."""
    text = log_dir.read(_VOCABULARY, _MOST_VOCABULARY)
    return tokenization.from_json(text, repr(str(log_dir.path / _VOCABULARY)))
