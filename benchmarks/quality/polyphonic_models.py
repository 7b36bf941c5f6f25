# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The rows of `benchmarks.quality.polyphonic`: how each model is trained, scored and sampled."""
from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.quality import free_running
from examples.midi.hparams import MidiHParams

if TYPE_CHECKING:
    from examples.midi.model import MidiModel
    from vaeseq.evaluate.likelihood import Score

Pieces = dict[str, list[np.ndarray]]

VALID_EVERY = 100  # updates
_SAMPLES, _SAMPLE_FRAMES = 64, 64
_ROWS, _WINDOW = 11, 160  # pieces and frames scored at once
_TICK = 20.0  # seconds between notes of the time spent


class Recipe(NamedTuple):
    """A row of the table.

    Attributes:
      overrides: hyperparameters, as after `--hparams`.
      steps: updates.
      still: the share of them, at the end, in which no piece is moved to another key.
      bound: that is reported.
      samples: of it.
      published: beside it.
    """

    overrides: str
    steps: int
    still: float
    bound: str
    samples: int
    published: str

    def hparams(self, scale_steps: float = 1.0) -> MidiHParams:
        """The hyperparameters of a run of so much of the steps."""
        moving = max(1, round(self.num_steps(scale_steps) * (1 - self.still)))
        return MidiHParams().parse(_BASE).parse(self.overrides).replace(transpose_steps=moving)

    def num_steps(self, scale_steps: float = 1.0) -> int:
        """Updates of a run of so much of the steps."""
        return max(1, round(self.steps * scale_steps))


# What a row does not name. All the music is in one key; most of the training pieces are moved to
# another one each time. Latents are free of charge at first, or a decoder that sees so much of what
# went before learns to do without them.
_BASE = ("decoder=bernoulli,batch_size=16,sequence_size=160,learning_rate=0.002,"
         "learning_rate_final=0.01,recall=160,beats=16,context_skip=true,transpose_share=0.8,"
         "context_dropout=0.1,decoder_dropout=0.0,weight_decay=0.1,divergence_strength_start=0.0")
_DROPPED = "rnn_hidden_sizes=[256],dropout=0.4,decoder_dropout=0.2"
_MASKED = "decoder=masked,relative_channels=10"
# In the loop over time, and of every particle, so small.
_VRNN = ("vae_type=VRNN,rnn_hidden_sizes=[128],latent_decoder_fc_layers=[128],latent_size=32,"
         "relative_channels=4,dropout=0.2,divergence_strength_half=100")

# In the order of importance: the first are made first.
RECIPES = {
    "rnn-masked": Recipe(f"{_DROPPED},{_MASKED}", 2500, 0.0, "elbo", 1, "5.19 RNN-NADE"),
    "srnn": Recipe(
        "vae_type=SRNN,relative_channels=8,rnn_hidden_sizes=[200],latent_size=64,"
        "latent_decoder_fc_layers=[200],dropout=0.2,divergence_strength_half=400",
        2000, 0.2, "fivo", 128, "6.80 Pyro DMM (bound); 6.39 DMM (importance-sampled)"),
    "rnn": Recipe(
        f"{_DROPPED},relative_channels=8", 1000, 0.0, "elbo", 1, "8.71 RNN, 8.45 LSTM, 8.10 TCN"),
    "vrnn-fivo": Recipe(
        f"{_VRNN},train_bound=fivo,train_samples=16", 500, 0.2, "fivo", 128, "6.72 VRNN"),
    "vrnn-iwae": Recipe(
        f"{_VRNN},train_bound=iwae,train_samples=16", 500, 0.2, "fivo", 128, "7.41 VRNN"),
    "vrnn-elbo": Recipe(_VRNN, 500, 0.2, "fivo", 128, "8.63 VRNN"),
    "srnn-masked": Recipe(
        f"{_DROPPED},{_MASKED},vae_type=SRNN,latent_size=4,latent_decoder_fc_layers=[64],"
        "divergence_strength_half=50", 3200, 0.0, "fivo", 128, "5.12 DMM-Aug-NADE"),
}


class Run(NamedTuple):
    """What a run gave.

    Attributes:
      figures: what is kept of it, as JSON has it.
      nats: of each frame of the test pieces, end to end; of a model without latents only.
    """

    figures: dict[str, Any]
    nats: np.ndarray | None


def run(
    recipe: Recipe, seed: int, pieces: Pieces, log_dir: Path, *, max_minutes: float,
    scale_steps: float = 1.0,
) -> Run:
    """Trains a model, going on where it stopped, then scores its best state and samples from it.

    Args:
      recipe: what is trained.
      seed: of everything random.
      pieces: of each split.
      log_dir: of the run.
      max_minutes: of training, in this sitting.
      scale_steps: multiplies the number of updates.
    """
    from vaeseq.train.trainer import Periods
    model = _model(recipe.hparams(scale_steps), pieces["train"], log_dir, seed)
    clock = _Clock(log_dir / "seconds.txt")
    trained = model.train(
        pieces["train"], num_steps=recipe.num_steps(scale_steps), valid=pieces["valid"],
        max_minutes=max_minutes, periods=Periods(valid=VALID_EVERY), should_stop=clock.tick)
    seconds = clock.stop()
    best_step = model.restore()
    score, nats = _score(model, pieces["test"], recipe)
    samples = model.compose(num_samples=_SAMPLES, length=_SAMPLE_FRAMES, seed=seed)
    return Run({
        "split": "test", **score.as_dict(), "divergence": score.kl,
        "active_units": score.active_units, "valid_nats_per_step": trained.best,
        "best_step": best_step, "step": trained.step, "train_seconds": round(seconds),
        "free_running": free_running.compare(samples, pieces["train"]),
    }, nats if score.bound == "exact" else None)


def averaged(nats: list[np.ndarray]) -> float:
    """Nats per frame of the average, in probability and at each frame, of several exact models.

    Args:
      nats: log p(x_t | x_<t) of each model, `[frames]`.
    """
    return -float(np.mean(np.logaddexp.reduce(nats, axis=0) - np.log(len(nats))))


def _model(
    hparams: MidiHParams, train: list[np.ndarray], log_dir: Path, seed: int
) -> MidiModel:
    from examples.midi.model import MidiModel
    from examples.midi.model.observations import means

    class Benchmarked(MidiModel):
        """Makes no sound while it is trained."""

        def after_validation(self, *_: Any) -> None:
            pass

    return Benchmarked(hparams, log_dir, mean=means(train, hparams), seed=seed)


def _score(
    model: MidiModel, rolls: list[np.ndarray], recipe: Recipe
) -> tuple[Score, np.ndarray]:
    """The score, and the nats of each frame."""
    from examples.midi.model.observations import ObservedRolls
    from vaeseq import data, seeds
    evaluator = model.evaluator(recipe.bound, recipe.samples)
    batches = data.windows(ObservedRolls(rolls, model.hparams), _ROWS, _WINDOW)
    windows = list(evaluator.windows(batches, seed=seeds.make(0)))
    nats = [row[:length] for window in windows
            for row, length in zip(window.increments, window.lengths)]
    return evaluator.pool(windows), np.concatenate(nats)


class _Clock:
    """Adds up the seconds of several sittings; one that is killed counts up to its last tick."""

    def __init__(self, path: Path):
        """Args: path: of the file that keeps them."""
        self._path = path
        self._before = float(path.read_text()) if path.is_file() else 0.0
        self._began = self._noted = time.monotonic()

    def tick(self) -> bool:
        """Notes the time now and then; False, so that nothing stops."""
        if time.monotonic() - self._noted > _TICK:
            self.stop()
        return False

    def stop(self) -> float:
        """Notes the time, and returns the seconds in all."""
        self._noted = time.monotonic()
        seconds = self._before + self._noted - self._began
        self._path.write_text(f"{seconds:.1f}\n")
        return seconds
