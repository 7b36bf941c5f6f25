# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tuning of a model of music; see `vaeseq.tuning.run`."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vaeseq.cli.arguments import UsageError
from vaeseq.runs.log_dir import LogDir
from vaeseq.tuning.rewards import RewardSum
from vaeseq.tuning.run import Tuning
from vaeseq.tuning.settings import TuningRecord
from vaeseq.types import Nest

from ..data.sources import Music
from ..hparams import MidiHParams
from ..model import MidiModel, observations
from . import counterpoint
from .rewards import sounding
from .settings import MidiTuneSettings


class MidiTuning(Tuning):
    """A run of tuning music; rewards see piano rolls, bool `[T, 128]`."""

    model: MidiModel

    def __init__(
        self, log_dir: LogDir, record: TuningRecord, rewards: RewardSum, music: Music,
        hparams: MidiHParams, mean: np.ndarray, *, seed: int, **options: Any,
    ):
        """Creates a new run, or the one in `log_dir`; `options` are those of `Tuning`.

        The music is what the model was trained and validated on; `mean` is how often each column is
        on in it, `[P]`.

        Raises:
          UsageError: samples would be longer than the phrases that the model is of.
        """
        assert isinstance(record.settings, MidiTuneSettings)
        self._grid = hparams.frames
        self._bar = record.settings.bar or hparams.frames.bar
        length, phrase = record.settings.bars * self._bar, hparams.phrase_frames
        if phrase and length > phrase:
            raise UsageError(
                f"--bars: expected at most the {phrase} frames of a phrase (bars={hparams.bars}); "
                f"got {length}, {record.settings.bars} x {self._bar}. Give fewer --bars or a "
                "shorter --bar, and another --log-dir where this one holds a run.")
        super().__init__(
            log_dir, record, rewards,
            lambda: MidiModel(hparams, log_dir.path, mean=mean, seed=seed,
                              trained_on=music.description),
            [piece.roll for piece in music.train], [piece.roll for piece in music.valid],
            length=length, seed=seed, **options)

    def content(self, observed: Nest) -> np.ndarray:
        roll = observations.to_roll(observed, self.model.hparams)
        return sounding(roll, self._grid)

    def rules(self, contents: Sequence[np.ndarray]) -> dict[str, float]:
        shares = [counterpoint.shares_of_bars(roll, self._bar) for roll in contents]
        return {name: float(np.mean([share[name] for share in shares])) for name in shares[0]}
