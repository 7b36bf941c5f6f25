# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of music: reads frames of notes, gives a distribution of the next one."""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq import data as data_lib
from vaeseq import seeds
from vaeseq.agent import Agent, Chain, EncodeObserved
from vaeseq.bounds import resampling
from vaeseq.compilation import compiled
from vaeseq.data import Batch, DataSet, Masked
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.evaluate import clamping, imputation
from vaeseq.evaluate.likelihood import Score, Window
from vaeseq.model import Model
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.progress import Progress
from vaeseq.runs.warm_start import Origin
from vaeseq.train.metrics import Writer
from vaeseq.types import Nest

from ..data import piano_roll
from ..data.lines import Line
from ..data.sources import Description
from ..hparams import MidiHParams
from ..output import audio, plots
from . import observations, phrases
from .context_agents import Beat, EncodedContext, Recall
from .observations import ObservedRolls

PROGRAM = "vaeseq-midi"
_MEANS = "notes.json"
_WINDOW = 160  # frames scored in one compiled call
_ROWS = 8  # pieces scored at once
_SAMPLE_SECONDS = 16  # of the samples for TensorBoard


class Harmonised(NamedTuple):
    """A piece drawn around a kept line."""

    roll: np.ndarray  # uint8 `[T, P]`, the kept notes among the drawn ones
    log_evidence: float  # an estimate of log p(kept columns), nats; its exponential is unbiased


class MidiModel(Model):
    """A model of music (see `vaeseq.model.Model`); sequences are rolls, uint8 `[N, P]`.

    Attributes:
      mean: how often each column is on in the training music, `[P]`.
      origin: the run that a warm start took the initial weights from, if any.
    """

    hparams: MidiHParams
    hparams_class = MidiHParams
    program = PROGRAM
    unit = "frame"

    def __init__(
        self, hparams: MidiHParams, log_dir: str | os.PathLike[str], *, mean: np.ndarray,
        seed: int = 0, trained_on: Description | None = None,
    ):
        """Creates the model; `log_dir` will hold `trained_on`, to find the held-out music later."""
        # As `save_files` writes it, so that the restored model is the same.
        self.mean = np.array([round(float(share), 8) for share in mean])
        self.origin: Origin | None = None
        self.observation_spec = observations.spec(hparams)
        self._trained_on = trained_on
        super().__init__(hparams, log_dir, seed=seed)

    @classmethod
    def arguments_of(cls, run: LogDir) -> dict[str, Any]:
        return {"mean": saved_mean(run, run.hparams(MidiHParams))}

    def make_encoder(self) -> Encoder:
        return observations.make_encoder(self.hparams, self.mean)

    def make_decoder(self) -> DistModule:
        return observations.make_decoder(self.hparams, self.mean)

    def make_agent(self, encoder: Encoder) -> Agent:
        agents: list[Agent] = [
            EncodeObserved(encoder, self.observation_spec, self.hparams.history_size)]
        if observations.uses_recall(self.hparams):
            grid = self.hparams.frames
            agents.append(Recall(grid.shape, grid.pitched_parts, self.hparams.recall))
        if self.hparams.beats:
            agents.append(Beat(self.hparams.beats))
        agent = agents[0] if len(agents) == 1 else Chain(agents)
        if not self.hparams.history_encoder_fc_layers:
            return agent
        return EncodedContext(agent, self.hparams.history_encoder_fc_layers,
                              activation=self.hparams.activation)

    @property
    def alignment(self) -> int:
        return self.hparams.phrase_frames or self.hparams.beats or 1

    def data_set(self, sequences: Sequence[np.ndarray]) -> DataSet:
        sequences = phrases.split(sequences, self.hparams)
        transposed, original = (
            data_lib.Sequences(sequences, self.hparams.batch_size, self.hparams.sequence_size,
                               seed=self._seed, transform=transform, alignment=self.alignment)
            for transform in (self._transpose, self._observe))
        if not self.hparams.transpose_steps:
            return transposed
        return data_lib.ScheduledDataSet(
            transposed, original, self.hparams.transpose_steps * self.hparams.accumulate)

    def _observe(self, roll: np.ndarray, rng: np.random.Generator) -> Nest:
        del rng
        return observations.observe(roll, self.hparams)

    def _transpose(self, roll: np.ndarray, rng: np.random.Generator) -> Nest:
        if rng.random() < self.hparams.transpose_share:
            roll = piano_roll.transpose(roll, self.hparams.transpose, self.hparams.frames, rng)
        return self._observe(roll, rng)

    def validation_batches(self, sequences: Sequence[np.ndarray]) -> Iterable[Batch]:
        sequences = phrases.split(sequences, self.hparams)
        size = min(self.hparams.sequence_size, max(map(len, sequences)))
        return data_lib.windows(
            ObservedRolls(sequences, self.hparams), self.hparams.batch_size, size)

    def evaluate(
        self, sequences: Sequence[np.ndarray], *, bound: str | None = None,
        num_samples: int | None = None, seed: int = 0, batch_size: int | None = None,
        window: int | None = None, progress: Progress | None = None,
    ) -> Score:
        """Scores rolls, uint8 `[N, P]` each; takes the options of `Model.evaluate`.

        Advances `progress`, if there is one, by the frames scored.
        """
        observed = ObservedRolls(phrases.split(sequences, self.hparams), self.hparams)
        rows = min(batch_size or _ROWS, data_lib.bucket(len(observed)))
        batches = data_lib.windows(
            observed, rows, window or max(_WINDOW, self.hparams.phrase_frames))
        evaluator = self.evaluator(bound, num_samples)

        def windows() -> Iterator[Window]:
            for scored in evaluator.windows(batches, seed=seeds.make(seed)):
                frames = int(scored.lengths.sum())
                if progress:
                    progress.advance(frames, frames)
                yield scored

        return evaluator.pool(windows())

    def compose(
        self, *, num_samples: int = 1, length: int, prime: np.ndarray | None = None,
        temperature: float = 1.0, seed: int = 0,
    ) -> list[np.ndarray]:
        """Samples music.

        Args:
          num_samples: number of samples.
          length: number of frames of each, after the prime.
          prime: a roll that all of them continue; not part of the result.
          temperature: below 1 more predictable, above 1 more surprising.
          seed: equal seeds give equal music.

        Returns:
          Rolls, uint8 `[length, P]`.

        Raises:
          ValueError: a prime of a model of phrases.
        """
        size = self.hparams.phrase_frames
        if prime is not None:
            self._require_whole_pieces()
        if size:  # phrases that are independent of each other
            count = -(-length // size)
            generated = self.generate(num_samples=num_samples * count, length=size,
                                  temperature=temperature, seed=seed)
            rolls = [observations.to_roll(observed, self.hparams) for observed in generated]
            return [np.concatenate(rolls[first:first + count])[:length]
                    for first in range(0, len(rolls), count)]
        samples = self.generate(
            num_samples=num_samples, length=length, temperature=temperature, seed=seed,
            prime=None if prime is None else observations.observe(prime, self.hparams))
        return [observations.to_roll(observed, self.hparams) for observed in samples]

    def harmonise(
        self, line: Line, *, num_samples: int = 1, num_particles: int = 256,
        temperature: float = 1.0, seed: int = 0,
    ) -> Iterator[Harmonised]:
        """Draws the notes around a kept line from the model's conditional, by a particle filter.

        Args:
          line: the notes and columns that are kept.
          num_samples: number of samples, each from a filter of its own.
          num_particles: of the filter; more are closer to the model.
          temperature: below 1 more predictable, above 1 more surprising.
          seed: equal seeds give equal music.

        Raises:
          ValueError: the decoder draws the notes of a frame together, so that none can be kept, or
            the model is of phrases.
        """
        self._require_whole_pieces()
        if self.hparams.decoder == "scores":
            raise ValueError("decoder=scores draws all notes of a frame together, so that none can "
                             "be kept. Train with decoder=masked or bernoulli.")
        self._ensure_weights()
        clamped = clamping.with_missing_values(self.gen_core, temperature=temperature)
        observed = Masked(tf.constant(line.roll[None], self.gen_core.core.dtype),
                          tf.constant(line.mask[None]))

        @compiled
        def draw(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            impute_seed, choice_seed = seeds.split(seed, 2)
            imputed = imputation.impute(
                clamped, observed, num_particles=num_particles, seed=impute_seed)
            chosen = resampling.multinomial(imputed.log_weights[:, :, 0], seed=choice_seed)[0, 0]
            return imputed.values[0, chosen], imputed.log_prob[0]

        for number in range(num_samples):
            values, log_prob = draw(seeds.fold_in(seeds.make(seed), number))
            yield Harmonised(observations.to_roll(values.numpy(), self.hparams), float(log_prob))

    def fill(
        self, roll: np.ndarray, is_known: np.ndarray, *, num_samples: int = 1,
        temperature: float = 1.0, seed: int = 0,
    ) -> list[np.ndarray]:
        """Samples the unknown frames of a piece, given those before and after them.

        Args:
          roll: uint8 `[N, P]`; unknown frames mean nothing.
          is_known: bool `[N]`.
          num_samples: number of samples.
          temperature: below 1 more predictable, above 1 more surprising.
          seed: equal seeds give equal music.

        Returns:
          Rolls, uint8 `[N, P]`.

        Raises:
          ValueError: the model has another `vae_type` than MASKDIFF, or is of phrases.
        """
        self._require_whole_pieces()
        values = tf.nest.map_structure(
            lambda leaf, spec: np.repeat(
                leaf[np.newaxis].astype(spec.dtype.as_numpy_dtype), num_samples, 0),
            observations.observe(roll, self.hparams), self.observation_spec)
        filled = self.sampler.fill(
            values, np.repeat(is_known[np.newaxis], num_samples, 0), temperature=temperature,
            seed=seed)
        return [observations.to_roll(
            tf.nest.map_structure(lambda leaf: leaf[row], filled), self.hparams)  # noqa: B023
            for row in range(num_samples)]

    def _require_whole_pieces(self) -> None:
        if self.hparams.phrase_frames:
            raise ValueError(
                f"a model of phrases (bars={self.hparams.bars}) draws each without what comes "
                "before or after it; expected bars=0, a model of whole pieces.")

    def expect_notes(self, observed: Nest) -> list[tf.Operation]:
        """Returns assertions that a nest of `[B, T, ...]` has values of observations."""
        maximum = observations.maximum(self.hparams)
        return [tf.debugging.Assert(tf.reduce_all((leaf >= 0) & (leaf <= limit)),
                                    [f"expected notes from 0 to {int(np.max(limit))}"])
                for leaf, limit in zip(tf.nest.flatten(observed), tf.nest.flatten(maximum))]

    def save_files(self) -> None:
        self.log_dir.write(_MEANS, json.dumps(self.mean.tolist()) + "\n")
        if self._trained_on is not None:
            self._trained_on.save(self.log_dir)
        if self.origin is not None:
            self.origin.save(self.log_dir)

    def after_validation(self, step: int, writer: Writer, log: Callable[[str], None]) -> None:
        grid = self.hparams.frames
        length = max(1, round(_SAMPLE_SECONDS / grid.frame_seconds))
        (roll,) = self.compose(length=length, seed=step)
        # TensorBoard shows one kind of summary for each tag.
        writer.image(step, "sample/roll", plots.bitmap(piano_roll.sounding(roll, grid)))
        writer.audio(
            step, "sample/sound", audio.synthesize(roll, grid)[:, None], audio.RATE)


def saved_mean(log_dir: LogDir, hparams: MidiHParams) -> np.ndarray:
    """Reads how often each column was on in training; raises ValueError where it is damaged."""
    try:
        mean = np.array(json.loads(log_dir.read(_MEANS)), np.float64)
        if mean.shape != (hparams.frames.columns,) or not ((mean >= 0) & (mean <= 1)).all():
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise ValueError(
            f"{str(log_dir.path / _MEANS)!r}: expected a JSON list of {hparams.frames.columns} "
            "shares. The log directory is damaged; start again in another.") from None
    return mean
