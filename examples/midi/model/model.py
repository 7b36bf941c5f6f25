# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A model of music: frames of notes in, a distribution of the next frame out."""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq import data as data_lib
from vaeseq.agent import Agent, Chain, EncodeObserved
from vaeseq.data import Batch, DataSet
from vaeseq.dist_module import DistModule
from vaeseq.encoder import Encoder
from vaeseq.evaluate.likelihood import Score
from vaeseq.model import Model
from vaeseq.runs.log_dir import LogDir
from vaeseq.runs.warm_start import Origin
from vaeseq.train.metrics import Writer
from vaeseq.types import Nest

from ..data import piano_roll
from ..data.sources import Description
from ..hparams import MidiHParams
from ..output import audio, plots
from . import observations
from .context_agents import Beat, EncodedContext, Recall
from .observations import Observed

PROGRAM = "vaeseq-midi"
_MEANS = "notes.json"
_WINDOW = 160  # frames scored in one compiled call
_ROWS = 8  # pieces scored at once
_SAMPLE_SECONDS = 16  # of what is heard and seen while training


class MidiModel(Model):
    """A model of music (see `vaeseq.model.Model`); sequences are rolls, uint8 `[N, P]`.

    Attributes:
      mean: how often each column is on in training, `[P]`.
      origin: what the first weights are from, where they are another run's.
      step: of the checkpoint that `load` restored.
    """

    hparams: MidiHParams
    program = PROGRAM
    unit = "frame"

    def __init__(
        self, hparams: MidiHParams, log_dir: str | os.PathLike[str], *, mean: np.ndarray,
        seed: int = 0, trained_on: Description | None = None,
    ):
        """Creates the model; arguments as for `Model`.

        Args:
          hparams: sizes and kinds.
          log_dir: of the run.
          mean: how often each column is on in training, `[P]`: see `observations.means`.
          seed: of everything random in training.
          trained_on: kept in the log directory, so that the held-out music is found again.
        """
        self.mean = mean
        self.origin: Origin | None = None
        self.step = 0
        self._trained_on = trained_on
        super().__init__(hparams, log_dir, seed=seed)

    @classmethod
    def load(cls, log_dir: str | os.PathLike[str]) -> MidiModel:
        """The model that was trained in `log_dir`; raises ValueError if there is none."""
        directory = LogDir(log_dir, cls.program)
        hparams = directory.hparams(MidiHParams)
        model = cls(hparams, log_dir, mean=saved_mean(directory, hparams), seed=directory.seed())
        model.step = model.restore()
        return model

    @property
    def observation_spec(self) -> Nest:
        return observations.spec(self.hparams)

    def make_encoder(self) -> Encoder:
        return observations.make_encoder(self.hparams, self.mean)

    def make_decoder(self) -> DistModule:
        return observations.make_decoder(self.hparams, self.mean)

    def make_agent(self, encoder: Encoder) -> Agent:
        heard: list[Agent] = [
            EncodeObserved(encoder, self.observation_spec, self.hparams.history_size)]
        if observations.recalls(self.hparams):
            heard.append(Recall(self.hparams.frames.columns, self.hparams.recall))
        if self.hparams.beats:
            heard.append(Beat(self.hparams.beats))
        contexts = heard[0] if len(heard) == 1 else Chain(heard)
        if not self.hparams.history_encoder_fc_layers:
            return contexts
        return EncodedContext(contexts, self.hparams.history_encoder_fc_layers,
                              activation=self.hparams.activation)

    def data_set(self, sequences: Sequence[np.ndarray]) -> DataSet:
        moved, still = (
            data_lib.Sequences(sequences, self.hparams.batch_size, self.hparams.sequence_size,
                               seed=self._seed, transform=transform)
            for transform in (self._augmented, self._observed))
        if not self.hparams.transpose_steps:
            return moved
        return data_lib.ScheduledDataSet(moved, still, self.hparams.transpose_steps)

    def _observed(self, roll: np.ndarray, rng: np.random.Generator) -> Nest:
        del rng
        return observations.observe(roll, self.hparams)

    def _augmented(self, roll: np.ndarray, rng: np.random.Generator) -> Nest:
        if rng.random() < self.hparams.transpose_share:
            roll = piano_roll.transpose(roll, self.hparams.transpose, self.hparams.frames, rng)
        return self._observed(roll, rng)

    def validation_batches(self, sequences: Sequence[np.ndarray]) -> Iterable[Batch]:
        size = min(self.hparams.sequence_size, max(map(len, sequences)))
        return data_lib.windows(
            Observed(sequences, self.hparams), self.hparams.batch_size, size)

    def evaluate(self, sequences: Sequence[np.ndarray], **options: Any) -> Score:
        """How probable rolls are; options as for `Model.evaluate`."""
        options = {"batch_size": _ROWS, "window": _WINDOW, **options}
        return super().evaluate(Observed(sequences, self.hparams), **options)

    def compose(
        self, *, num_samples: int = 1, length: int, prime: np.ndarray | None = None,
        temperature: float = 1.0, seed: int = 0,
    ) -> list[np.ndarray]:
        """Samples music, rolls uint8 `[length, P]`; arguments as for `Model.generate`.

        Args:
          num_samples: how many.
          length: frames of each, after the prime.
          prime: a roll that all of them continue; not repeated in the result.
          temperature: below 1 more predictable, above 1 more surprising.
          seed: the same seed gives the same music.
        """
        begun = None if prime is None else observations.observe(prime, self.hparams)
        drawn = self.generate(num_samples=num_samples, length=length, prime=begun,
                              temperature=temperature, seed=seed)
        return [observations.to_roll(observed, self.hparams) for observed in drawn]

    def expect_notes(self, observed: Nest) -> list[tf.Operation]:
        """Asserts in a graph that a nest of `[B, T, ...]` may be observations."""
        most = observations.most(self.hparams)
        return [tf.debugging.Assert(tf.reduce_all((leaf >= 0) & (leaf <= limit)),
                                    [f"expected notes from 0 to {limit}"])
                for leaf, limit in zip(tf.nest.flatten(observed), tf.nest.flatten(most))]

    def save_files(self) -> None:
        self.log_dir.write(_MEANS, json.dumps([round(float(m), 8) for m in self.mean]) + "\n")
        if self._trained_on is not None:
            self._trained_on.save(self.log_dir)
        if self.origin is not None:
            self.origin.save(self.log_dir)

    def after_validation(self, step: int, writer: Writer, log: Callable[[str], None]) -> None:
        grid = self.hparams.frames
        length = max(1, round(_SAMPLE_SECONDS / grid.frame_seconds))
        (roll,) = self.compose(length=length, seed=step)
        # TensorBoard shows but one kind of thing of a name.
        writer.image(step, "sample/roll", plots.bitmap(piano_roll.sounding(roll, grid)))
        writer.audio(
            step, "sample/sound", audio.synthesize(roll, grid)[:, None], audio.RATE)


def saved_mean(log_dir: LogDir, hparams: MidiHParams) -> np.ndarray:
    """How often each column was on in training; raises ValueError where that is damaged."""
    try:
        mean = np.array(json.loads(log_dir.read(_MEANS)), np.float64)
        if mean.shape != (hparams.frames.columns,) or not ((mean >= 0) & (mean <= 1)).all():
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise ValueError(
            f"{str(log_dir.path / _MEANS)!r}: expected a JSON list of {hparams.frames.columns} "
            "shares. The log directory is damaged; begin anew in another.") from None
    return mean
