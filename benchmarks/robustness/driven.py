# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The programs that `survive` and `soak` run: one row of `DRIVEN` each."""
from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaeseq.cli.program import Program

ROOT = Path(__file__).parents[2]
_SMALL = "rnn_hidden_sizes=[8],batch_size=2,sequence_size=8,num_shards=1"


class Driven(NamedTuple):
    """A program, and what it takes to run it on something small.

    Attributes:
      module: where its `program` is.
      data_option: of train, before what is trained on; without hyphens, a hyperparameter.
      save_option: of train, before the steps from a checkpoint to the next; like `data_option`.
      small: hyperparameters of a model that steps in milliseconds.
      make_data: writes something small to train on into a folder and returns how it is named.
      sample: words of the command that draws samples into the folder given, but for --log-dir.
    """

    module: str
    data_option: str
    save_option: str
    small: str
    make_data: Callable[[Path], str]
    sample: Callable[[Path], list[str]]

    @property
    def program(self) -> Program:
        """The program itself; without TensorFlow until a command runs."""
        return importlib.import_module(self.module).program

    def command(self, words: Sequence[str]) -> list[str]:
        """The command line that runs the program in a process of its own."""
        return [sys.executable, "-c", f"from {self.module} import main; main()", *words]

    def train(
        self, log_dir: Path, data: str, hparams: str, *words: str, save_every: int | None = None
    ) -> list[str]:
        """Words of the command that trains on `data`."""
        given = {self.data_option: data}
        if save_every is not None:
            given[self.save_option] = str(save_every)
        options = [word for name, value in given.items() if name.startswith("--")
                   for word in (name, value)]
        named = [f"{name}={value}" for name, value in given.items() if not name.startswith("--")]
        chosen = ",".join([*([hparams] if hparams else []), *named])
        return ["train", "--log-dir", os.fspath(log_dir), *options,
                *(["--hparams", chosen] if chosen else []), *words]


def _prose(folder: Path) -> str:
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


DRIVEN = {
    "text": Driven(
        "examples.text.cli", "--train-corpus", "--valid-every",
        f"{_SMALL},dropout=0.2,embed_size=4", _prose,
        lambda folder: ["generate", "--length", "200", "--output", str(folder / "sample.txt")]),
    "midi": Driven(
        "examples.midi.cli", "--train-files", "--valid-every",
        f"{_SMALL},dropout=0.2,vae_type=ISEQ,latent_size=2,latent_decoder_fc_layers=[4],"
        "decoder=bernoulli,lowest_note=60,highest_note=72,log_prob_samples=2,relative_channels=0,"
        "recall=0,context_skip=false",
        _rolls, lambda folder: ["generate", "--length", "4", "--out-dir", str(folder)]),
    "play": Driven(
        "examples.play.commands", "game", "eval_every",
        f"{_SMALL},policy_layers=[8],obs_encoder_fc_layers=[8],obs_decoder_fc_hidden_layers=[8],"
        "horizon=3,first_steps=40,first_updates=4,eval_games=1,jit_compile=false",
        lambda folder: "CartPole-v1",
        lambda folder: ["run", "--num-games", "2", "--film", str(folder / "games.gif")]),
}
