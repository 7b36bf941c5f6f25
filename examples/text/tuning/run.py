# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Tuning of a model of text; see `vaeseq.tuning.run`."""
from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from vaeseq import seeds
from vaeseq.cli.arguments import UsageError
from vaeseq.tuning.control import mixer_prefix
from vaeseq.tuning.run import Tuning
from vaeseq.tuning.settings import SAMPLES_PER_PREFIX
from vaeseq.types import Nest

from ..model import TextModel
from .settings import TextTuneSettings


class TextTuning(Tuning):
    """A run of tuning text; rewards see strings."""

    model: TextModel

    def content(self, observed: Nest) -> str:
        return self.model.vocabulary.decode(np.asarray(observed))

    @property
    def prefix(self) -> Callable[[int], int] | None:
        settings = self._record.settings
        assert isinstance(settings, TextTuneSettings)
        if not settings.mixer_every:
            return None
        rows, border = self.model.hparams.batch_size, settings.length - settings.mixer_by
        if settings.batch_size > SAMPLES_PER_PREFIX * rows:
            raise UsageError(
                f"--batch-size: expected at most {SAMPLES_PER_PREFIX * rows} with --mixer-every, "
                f"as the model's batches have {rows} training texts; got {settings.batch_size}.")
        if border > self.model.hparams.sequence_size:
            raise UsageError(
                f"--length: expected at most {self.model.hparams.sequence_size} + --mixer-by "
                f"{settings.mixer_by}, as training texts have {self.model.hparams.sequence_size} "
                f"{self.model.unit}s (sequence_size); got {settings.length}.")
        return functools.partial(
            mixer_prefix, start=border, end=settings.mixer_end,
            every=settings.mixer_every, by=settings.mixer_by)

    def held_out_nats(self, sequences: Sequence[Nest]) -> float:
        """Returns the nats per symbol, by rows that start from the initial state, as validation."""
        score = self.model.evaluator().score(
            self.model.validation_batches(sequences), seed=seeds.make(0))
        return score.nats_per_step
