# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""A run's directory: it carries what a model is.

    LOG_DIR/
      run.json          which program and version made it, and its seed
      hparams.json      the hyperparameters
      checkpoints/      see `vaeseq.runs.checkpoint`
      metrics.jsonl     what was measured, a JSON object a line
      events/           the same for TensorBoard
      lock              held while a training run writes here

Programs add files of their own, a vocabulary for one.
"""
from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from vaeseq.hparams import MOST_CHARACTERS, HParams
from vaeseq.version import __version__

Hyperparameters = TypeVar("Hyperparameters", bound=HParams)


class LogDir:
    """The directory of one run of one program.

    Attributes:
      path: where it is.
      program: who reads and writes it.
    """

    def __init__(self, path: str | os.PathLike[str], program: str = "vaeseq"):
        self.path = Path(path)
        self.program = program

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints go."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """What was measured while training."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """TensorBoard's files."""
        return self.path / "events"

    @property
    def exists(self) -> bool:
        """Whether a run has been here."""
        return (self.path / "run.json").exists()

    def create(self, hparams: HParams, seed: int) -> None:
        """Begins a run: makes the directory and writes what it is, `run.json` last.

        Raises:
          OSError: it cannot be made or written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.write("hparams.json", hparams.to_json())
        self.write("run.json", json.dumps(
            {"program": self.program, "version": __version__, "seed": seed}, indent=2) + "\n")

    def seed(self) -> int:
        """The seed the run began with.

        Raises:
          ValueError: there is no run here, or one of another program.
        """
        if not self.exists:
            raise ValueError(
                f"{str(self.path)!r}: expected the log directory of a {self.program} run, found "
                "no run.json there. Train first, or give the --log-dir of a run.")
        try:
            run = json.loads(self.read("run.json"))
            program, seed = run["program"], run["seed"]
            if not (isinstance(seed, int) and 0 <= seed < 1 << 62):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(
                f"{str(self.path / 'run.json')!r}: expected a JSON object with program and seed. "
                "The log directory is damaged; begin anew in another.") from None
        if program != self.program:
            raise ValueError(
                f"{str(self.path)!r}: expected the log directory of a {self.program} run, found "
                f"one of {program!r}. Give another --log-dir.")
        return seed

    def hparams(self, kind: type[Hyperparameters]) -> Hyperparameters:
        """The hyperparameters the run began with.

        Raises:
          ValueError: there is no run here, one of another program, or the file is damaged.
        """
        self.seed()
        try:
            return kind.load(self.path / "hparams.json")
        except FileNotFoundError:
            raise ValueError(
                f"{str(self.path)!r}: expected a file hparams.json in it. The log directory is "
                "damaged; begin anew in another.") from None

    def check_same(self, hparams: HParams, seed: int) -> None:
        """Raises ValueError where the run here began with others, or is damaged."""
        saved_seed = self.seed()
        differences = self.hparams(type(hparams)).diff(hparams)
        if differences:
            first = differences[0]
            raise ValueError(
                f"{str(self.path)!r} holds a run with {first.name}={first.ours}, but "
                f"{first.name}={first.theirs} was given. Leave it out, or give another --log-dir.")
        if saved_seed != seed:
            raise ValueError(
                f"{str(self.path)!r} holds a run with seed {saved_seed}, but seed {seed} was "
                "given. Leave it out, or give another --log-dir.")

    def write(self, name: str, text: str) -> None:
        """Writes a file whole or not at all."""
        aside = self.path / f"{name}.writing"
        aside.unlink(missing_ok=True)  # a link there would lead elsewhere
        aside.write_text(text, "utf-8")
        aside.replace(self.path / name)

    def read(self, name: str, most: int = MOST_CHARACTERS) -> str:
        """Reads a file that `write` wrote.

        Raises:
          ValueError: it is missing, longer than `most` characters or no text.
        """
        text = ""
        if (self.path / name).is_file():  # a pipe would be waited for
            with contextlib.suppress(UnicodeDecodeError), \
                    open(self.path / name, encoding="utf-8") as file:
                text = file.read(most + 1)
        if not 0 < len(text) <= most:
            raise ValueError(
                f"{str(self.path / name)!r}: expected a text file of 1 to {most} characters. The "
                "log directory is damaged; begin anew in another.")
        return text

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Inside, no other training run may write here; makes the directory where there is none.

        Raises:
          OSError: it cannot be made or written.
          ValueError: another run is writing here, or the directory holds what is no run's.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._check_no_strangers()
        self._check_kinds()
        with open(self.path / "lock", "a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"{str(self.path)!r}: expected a log directory of its own, but another run is "
                    "training there. Wait for it, or give another --log-dir.") from None
            yield

    def _check_no_strangers(self) -> None:
        """Raises ValueError where no run could begin without mixing with what is there."""
        found = {path.name for path in self.path.iterdir()}
        # A run makes `lock` first and `checkpoints` after `run.json`: one that was stopped while
        # it began has the one and not the other.
        if self.exists or not found or ("lock" in found and "checkpoints" not in found):
            return
        raise ValueError(
            f"{str(self.path)!r}: expected an empty directory or that of a run, found no run.json "
            f"but {min(found)!r}. Give another --log-dir.")

    def _check_kinds(self) -> None:
        """Raises ValueError where a file or directory of the run is something else."""
        for path, is_kind, kind in (
                (self.path / "lock", Path.is_file, "a file"),
                (self.metrics, Path.is_file, "a file"),
                (self.checkpoints, Path.is_dir, "a directory"),
                (self.events, Path.is_dir, "a directory")):
            if os.path.lexists(path) and (path.is_symlink() or not is_kind(path)):
                raise ValueError(
                    f"{str(path)!r}: expected {kind}{', not a link' * path.is_symlink()}. Remove "
                    "it, or give another --log-dir.")
