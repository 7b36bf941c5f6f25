# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The programs that `survive` tests, and small data and models for them."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]
_SMALL = "rnn_hidden_sizes=[8],batch_size=2,sequence_size=8,num_shards=1"


class Target(NamedTuple):
    """A program under test."""

    module: str  # has its `program` and `main`
    data_option: str  # option of train for the data, or a hyperparameter (without hyphens)
    save_option: str  # option of train for the steps between checkpoints, or a hyperparameter
    small: str  # hyperparameters of a model that steps in milliseconds
    # Writes a small data set into a folder; returns the value of `data_option`
    make_data: Callable[[Path], str]
    # Returns the command that writes samples into a folder, without --log-dir
    sample: Callable[[Path], list[str]]

    def command(self, words: Sequence[str]) -> list[str]:
        """Returns the command line that runs the program in a new process."""
        return [sys.executable, "-c", f"from {self.module} import main; main()", *words]

    def train(
        self, log_dir: Path, data: str, hparams: str, *words: str, save_every: int | None = None
    ) -> list[str]:
        """Returns the command that trains on `data`."""
        options = {self.data_option: data}
        if save_every is not None:
            options[self.save_option] = str(save_every)
        overrides = [f"{name}={value}" for name, value in options.items() if name[:2] != "--"]
        return ["train", "--log-dir", os.fspath(log_dir),
                *(f"{name}={value}" for name, value in options.items() if name[:2] == "--"),
                "--hparams=" + ",".join(filter(None, [hparams, *overrides])), *words]


def _text(folder: Path) -> str:
    text = folder / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog.\n" * 20, "utf-8")
    return os.fspath(text)


def _rolls(folder: Path) -> str:
    from examples.midi.data import archives
    rng = np.random.default_rng(0)
    path = folder / "rolls.npz"
    pieces = [np.uint8(rng.random([20, archives.NOTES]) < 0.05) for _ in range(6)]
    archives.save(path, {"train": pieces})
    return f"{path}:train"


TARGETS = {
    "text": Target(
        "examples.text.cli", "--train-corpus", "--valid-every",
        f"{_SMALL},dropout=0.2,embed_size=4", _text,
        lambda folder: ["generate", "--length", "200", "--output", str(folder / "sample.txt")]),
    "midi": Target(
        "examples.midi.cli", "--train-files", "--valid-every",
        f"{_SMALL},dropout=0.2,vae_type=ISEQ,latent_size=2,latent_decoder_fc_layers=[4],"
        "decoder=bernoulli,lowest_note=60,highest_note=72,log_prob_samples=2,relative_channels=0,"
        "recall=0,context_skip=false",
        _rolls, lambda folder: ["generate", "--length", "4", "--out-dir", str(folder)]),
    "play": Target(
        "examples.play.commands", "game", "eval_every",
        f"{_SMALL},policy_layers=[8],obs_encoder_fc_layers=[8],obs_decoder_fc_hidden_layers=[8],"
        "horizon=3,first_steps=40,first_updates=4,eval_games=1,jit_compile=false",
        lambda folder: "CartPole-v1",
        lambda folder: ["run", "--num-games", "2", "--film", str(folder / "games.gif")]),
}
