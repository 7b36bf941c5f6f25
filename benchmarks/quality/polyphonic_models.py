# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The models of `benchmarks.quality.polyphonic`: how each is trained, scored and sampled."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks import report
from benchmarks.quality import free_running
from examples.midi.data import archives
from examples.midi.hparams import MidiHParams

if TYPE_CHECKING:
    from examples.midi.model import MidiModel
    from vaeseq.evaluate.likelihood import Score

Pieces = dict[str, list[np.ndarray]]

VALID_EVERY = 100  # updates
_SAMPLES, _SAMPLE_FRAMES = 64, 64
_ROWS, _WINDOW = 11, 160  # batch size and frames of a scored window


class Recipe(NamedTuple):
    """A row of the table."""

    overrides: str  # hyperparameters, in the syntax of `--hparams`
    steps: int  # number of updates
    no_transpose_fraction: float  # fraction of the updates, at the end, without transposition
    bound: str  # bound of the reported score
    samples: int  # number of samples of the bound
    published: str  # published figures to compare with, and the set of music

    def hparams(self, scale_steps: float = 1.0) -> MidiHParams:
        """Returns the hyperparameters of a run of `scale_steps` times the steps."""
        transpose_steps = max(
            1, round(self.num_steps(scale_steps) * (1 - self.no_transpose_fraction)))
        return MidiHParams().parse(_BASE).parse(self.overrides).replace(
            transpose_steps=transpose_steps)

    def num_steps(self, scale_steps: float = 1.0) -> int:
        """Returns the number of updates, scaled."""
        return max(1, round(self.steps * scale_steps))


# Defaults of all rows. The chorales are all in one key, so most training pieces are transposed,
# anew in each update. KL annealing starts at 0: a decoder that sees so much of the past would
# otherwise learn to ignore the latents (posterior collapse).
_BASE = ("decoder=bernoulli,batch_size=16,sequence_size=160,learning_rate=0.002,"
         "learning_rate_final=0.01,beats=16,context_skip=true,transpose_share=0.8,"
         "context_dropout=0.1,decoder_dropout=0.0,weight_decay=0.1,divergence_strength_start=0.0")
_DROPPED = "rnn_hidden_sizes=[256],dropout=0.4,decoder_dropout=0.2"
_WEIGHT_DROPPED = ("rnn_hidden_sizes=[256],dropout=0.25,weight_dropout=0.5,weight_average=0.998,"
                   "decoder_dropout=0.2")
_WIDE = ("rnn_hidden_sizes=[512],dropout=0.15,weight_dropout=0.3,weight_average=0.998,"
         "decoder_dropout=0.1")
_LONG = "sequence_size=640,batch_size=4,recall=4096"
_TRANSFORMER = ("cell=transformer,rnn_hidden_sizes=[128,128],attention_window=160,dropout=0.2,"
                "decoder_dropout=0.2,warmup_steps=50")
_MASKED = "decoder=masked,relative_channels=10"
_SRNN = ("vae_type=SRNN,relative_channels=8,rnn_hidden_sizes=[200],latent_size=64,"
         "latent_decoder_fc_layers=[200],dropout=0.2,divergence_strength_half=400")
# Small, because it runs in the loop over time, once for every particle.
_VRNN = ("vae_type=VRNN,rnn_hidden_sizes=[128],latent_decoder_fc_layers=[128],latent_size=32,"
         "relative_channels=4,dropout=0.2,divergence_strength_half=100")

# In the order in which they run.
RECIPES = {
    "rnn-masked": Recipe(f"{_DROPPED},{_MASKED}", 2500, 0.0, "elbo", 1, "5.19 RNN-NADE, JSB"),
    "rnn-masked-weight-dropout": Recipe(
        f"{_WEIGHT_DROPPED},{_MASKED}", 5000, 0.0, "elbo", 1, "5.19 RNN-NADE, JSB"),
    # For the larger sets: Nottingham, and MuseData with its long pieces.
    "rnn-masked-wide": Recipe(
        f"{_WIDE},{_MASKED},sequence_size=256,batch_size=10", 5000, 0.2, "elbo", 1,
        "2.31 RNN-NADE, Nottingham"),
    "rnn-masked-wide-long": Recipe(
        f"{_WIDE},{_MASKED},{_LONG}", 5000, 0.2, "elbo", 1, "5.60 RNN-NADE, MuseData"),
    "rnn-masked-long": Recipe(
        f"{_WEIGHT_DROPPED},{_MASKED},{_LONG}", 5000, 0.0, "elbo", 1, "5.60 RNN-NADE, MuseData"),
    "srnn": Recipe(
        _SRNN, 2000, 0.2, "fivo", 128, "6.80 Pyro DMM (bound), 6.39 DMM (importance-sampled), JSB"),
    "srnn-weight-dropout": Recipe(
        f"{_SRNN},weight_dropout=0.5", 4000, 0.2, "fivo", 128,
        "6.80 Pyro DMM (bound), 6.39 DMM (importance-sampled), JSB"),
    "rnn": Recipe(
        f"{_DROPPED},relative_channels=8", 1000, 0.0, "elbo", 1,
        "8.71 RNN, 8.45 LSTM, 8.10 TCN, JSB"),
    "vrnn-fivo": Recipe(
        f"{_VRNN},train_bound=fivo,train_samples=16", 500, 0.2, "fivo", 128, "6.72 VRNN, JSB"),
    "vrnn-iwae": Recipe(
        f"{_VRNN},train_bound=iwae,train_samples=16", 500, 0.2, "fivo", 128, "7.41 VRNN, JSB"),
    "vrnn-elbo": Recipe(_VRNN, 500, 0.2, "fivo", 128, "8.63 VRNN, JSB"),
    "srnn-masked": Recipe(
        f"{_DROPPED},{_MASKED},vae_type=SRNN,latent_size=4,latent_decoder_fc_layers=[64],"
        "divergence_strength_half=50", 3200, 0.0, "fivo", 128, "5.12 DMM-Aug-NADE, JSB"),
    "rnn-transformer-masked": Recipe(
        f"{_TRANSFORMER},{_MASKED}", 2500, 0.0, "elbo", 1, "5.19 RNN-NADE, JSB"),
    "srnn-transformer-masked": Recipe(
        f"{_TRANSFORMER},{_MASKED},vae_type=SRNN,latent_size=4,latent_decoder_fc_layers=[64],"
        "divergence_strength_half=50", 2500, 0.0, "fivo", 128, "5.12 DMM-Aug-NADE, JSB"),
}


class Run(NamedTuple):
    """The result of a run."""

    figures: dict[str, Any]  # the JSON object that is saved
    # Log p of each frame of all test pieces, `[frames]`; None for a model with latents
    nats: np.ndarray | None


def checksum(pieces: Pieces) -> str:
    """Returns a checksum of the music of all splits."""
    return report.checksum(
        np.packbits(roll) for split in archives.SPLITS for roll in pieces[split])


def run(
    recipe: Recipe, seed: int, pieces: Pieces, log_dir: Path, *, max_minutes: float,
    scale_steps: float = 1.0,
) -> Run:
    """Trains a model, resuming an interrupted run, then scores and samples its best weights.

    The limit `max_minutes` is of this session; `scale_steps` multiplies the number of updates.
    """
    from vaeseq.train.trainer import Periods
    model = _model(recipe.hparams(scale_steps), pieces["train"], log_dir, seed)
    with report.Sessions(log_dir) as sessions:
        trained = model.train(
            pieces["train"], num_steps=recipe.num_steps(scale_steps), valid=pieces["valid"],
            max_minutes=max_minutes, periods=Periods(valid=VALID_EVERY))
    score, nats = _score(model, pieces["test"], recipe)
    samples = model.compose(num_samples=_SAMPLES, length=_SAMPLE_FRAMES, seed=seed)
    return Run({
        "split": "test", **score.as_dict(), "divergence": score.kl,
        "active_units": score.active_units, "valid_nats_per_step": trained.best,
        "best_step": model.step, "step": trained.step, "train_seconds": round(sessions.seconds),
        "free_running": free_running.compare(samples, pieces["train"]),
    }, nats if score.bound == "exact" else None)


def score_of_run(recipe: Recipe, seed: int, pieces: Pieces, log_dir: Path) -> Score:
    """Returns the score of a trained run's best weights on the test split.

    The recipe is that of the run, with another bound or number of samples.
    """
    hparams = MidiHParams.load(log_dir / "hparams.json")
    model = _model(hparams, pieces["train"], log_dir, seed)
    model.restore()
    return _score(model, pieces["test"], recipe)[0]


def averaged(nats: list[np.ndarray]) -> float:
    """Returns the nats per frame of an equal mixture, at each frame, of exact models `[frames]`."""
    return -float(np.mean(np.logaddexp.reduce(nats, axis=0) - np.log(len(nats))))


def _model(
    hparams: MidiHParams, train: list[np.ndarray], log_dir: Path, seed: int
) -> MidiModel:
    from examples.midi.model import MidiModel
    from examples.midi.model.observations import means

    class Benchmarked(MidiModel):
        """Writes no samples during training."""

        def after_validation(self, *_: Any) -> None:
            pass

    return Benchmarked(hparams, log_dir, mean=means(train, hparams), seed=seed)


def _score(
    model: MidiModel, rolls: list[np.ndarray], recipe: Recipe
) -> tuple[Score, np.ndarray]:
    """Returns the score, and log p of each frame."""
    from examples.midi.model.observations import ObservedRolls
    from vaeseq import data, seeds
    evaluator = model.evaluator(recipe.bound, recipe.samples)
    batches = data.windows(ObservedRolls(rolls, model.hparams), _ROWS, _WINDOW)
    windows = list(evaluator.windows(batches, seed=seeds.make(0)))
    nats = [row[:length] for window in windows
            for row, length in zip(window.increments, window.lengths)]
    return evaluator.pool(windows), np.concatenate(nats)
