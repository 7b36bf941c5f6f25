# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""The directory of a run.

    LOG_DIR/
      run.json          program, version and seed
      hparams.json      hyperparameters
      model.json        the model's parts (see `vaeseq.description`)
      checkpoints/      see `vaeseq.runs.checkpoint`
      metrics.jsonl     training metrics, one JSON object per line
      events/           the same metrics for TensorBoard
      lock              locked while a training run writes here

Programs add their own files, such as a vocabulary.
"""
from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vaeseq.fields import short_repr
from vaeseq.hparams import MOST_CHARACTERS, HParams, written
from vaeseq.version import __version__

Hyperparameters = TypeVar("Hyperparameters", bound=HParams)


class LogDir:
    """The directory of one run of one program.

    Attributes:
      path: of the directory.
      program: name of the program that reads and writes it.
    """

    def __init__(self, path: str | os.PathLike[str], program: str = "vaeseq"):
        self.path = Path(path)
        self.program = program

    @property
    def checkpoints(self) -> Path:
        """The directory of checkpoints."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """The file of training metrics."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """The directory of TensorBoard's files."""
        return self.path / "events"

    @property
    def exists(self) -> bool:
        """Whether the directory holds a run."""
        return (self.path / "run.json").exists()

    def create(self, hparams: HParams, seed: int) -> None:
        """Makes the directory and writes its files, `run.json` last.

        Raises:
          OSError: the directory cannot be made or written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.write("hparams.json", hparams.to_json())
        self.write("run.json", json.dumps(
            {"program": self.program, "version": __version__, "seed": seed}, indent=2) + "\n")

    def seed(self) -> int:
        """Returns the seed of the run.

        Raises:
          ValueError: the directory holds no run, or one of another program.
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
                "The log directory is damaged; train in a new one.") from None
        if program != self.program:
            raise ValueError(
                f"{str(self.path)!r}: expected the log directory of a {self.program} run, found "
                f"one of {program!r}. Give another --log-dir.")
        return seed

    def hparams(self, kind: type[Hyperparameters]) -> Hyperparameters:
        """Returns the hyperparameters of the run.

        Raises:
          ValueError: the directory holds no run, one of another program, or a damaged file.
        """
        self.seed()
        try:
            return kind.load(self.path / "hparams.json")
        except FileNotFoundError:
            raise ValueError(
                f"{str(self.path)!r}: expected a file hparams.json in it. The log directory is "
                "damaged; train in a new one.") from None

    def write_parts(self, parts: Mapping[str, Any]) -> None:
        """Saves what a model is made of (`vaeseq.description`)."""
        self.write("model.json", json.dumps(parts, indent=2) + "\n")

    def check_parts(self, parts: Mapping[str, Any]) -> None:
        """Raises ValueError where the run's model is made of other parts.

        A run of an earlier version has no such file; nothing is compared.
        """
        if not (self.path / "model.json").exists():
            return
        try:
            saved = json.loads(self.read("model.json", 1 << 20))
        except (ValueError, RecursionError):
            raise ValueError(
                f"{str(self.path / 'model.json')!r}: expected a JSON object. The log directory is "
                "damaged; train in a new one.") from None
        for difference in differences(saved, parts):
            raise ValueError(
                f"{str(self.path)!r} holds a run of another model. {difference}. Build the model "
                "as the run has it, or give another --log-dir.")

    def check_same(self, hparams: HParams, seed: int) -> None:
        """Raises ValueError where the run has other hyperparameters or another seed."""
        self.check_hparams(hparams)
        if self.seed() != seed:
            raise ValueError(
                f"{str(self.path)!r} holds a run with seed {self.seed()}, but seed {seed} was "
                "given. Omit it, or give another --log-dir.")

    def check_hparams(self, hparams: HParams) -> None:
        """Raises ValueError where the run has other hyperparameters.

        Those that are not fixed (`fields.declare`), such as `log_prob_samples`, may differ.
        """
        for name, ours, theirs, is_fixed in self.hparams(type(hparams)).diff(hparams):
            if not is_fixed:
                continue
            raise ValueError(
                f"{str(self.path)!r} holds a run with {name}={written(ours)}, but "
                f"{name}={written(theirs)} was given. Omit it, or give another --log-dir.")

    def write(self, name: str, text: str) -> None:
        """Writes a file atomically."""
        aside = self.path / f"{name}.writing"
        aside.unlink(missing_ok=True)  # do not write through a link
        aside.write_text(text, "utf-8")
        aside.replace(self.path / name)

    def read(self, name: str, most: int = MOST_CHARACTERS) -> str:
        """Reads a file of `write`.

        Raises:
          ValueError: it is missing, empty, longer than `most` characters, or not UTF-8.
        """
        text, path = "", self.path / name
        # Reading a pipe would block. A character has at most four bytes.
        if path.is_file() and path.stat().st_size <= 4 * most:
            with contextlib.suppress(UnicodeDecodeError), open(path, encoding="utf-8") as file:
                text = file.read(most + 1)
        if not 0 < len(text) <= most:
            raise ValueError(
                f"{str(path)!r}: expected a text file of 1 to {most} characters. The log directory "
                "is damaged; train in a new one.")
        return text

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the directory against other training runs, and makes it if need be.

        Raises:
          OSError: the directory cannot be made or written.
          ValueError: another run holds the lock, or the directory holds other files.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._check_no_other_files()
        self._check_kinds()
        with open(self.path / "lock", "a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"{str(self.path)!r}: expected a log directory of its own, but another run is "
                    "training there. Wait for it, or give another --log-dir.") from None
            yield

    def _check_no_other_files(self) -> None:
        """Raises ValueError where a new run would mix with other files."""
        names = {path.name for path in self.path.iterdir()}
        # A run makes `lock` before `run.json` and `checkpoints` after it, so a run interrupted at
        # its start has a `lock` and no `checkpoints`.
        if self.exists or not names or ("lock" in names and "checkpoints" not in names):
            return
        raise ValueError(
            f"{str(self.path)!r}: expected an empty directory or that of a run, found no run.json "
            f"but {min(names)!r}. Give another --log-dir.")

    def _check_kinds(self) -> None:
        """Raises ValueError where a file of the run has another type, such as a link."""
        for path, is_kind, kind in (
                (self.path / "lock", Path.is_file, "a file"),
                (self.metrics, Path.is_file, "a file"),
                (self.checkpoints, Path.is_dir, "a directory"),
                (self.events, Path.is_dir, "a directory")):
            if os.path.lexists(path) and (path.is_symlink() or not is_kind(path)):
                raise ValueError(
                    f"{str(path)!r}: expected {kind}{', not a link' * path.is_symlink()}. Remove "
                    "it, or give another --log-dir.")


def differences(saved: Any, current: Any, path: str = "") -> Iterator[str]:
    """Yields in words where two descriptions differ.

    An argument of a class that one of them lacks is no difference: another version has it.
    """
    are_mappings = isinstance(saved, dict) and isinstance(current, dict)
    if are_mappings and ("class" in saved or saved.keys() == current.keys()):
        names = [name for name in saved if name in current]
        if saved.get("class") != current.get("class"):
            names = ["class"]
        for name in names:
            inner = path if name == "class" else f"{path}.{name}" if path else name
            yield from differences(saved[name], current[name], inner)
    elif isinstance(saved, list) and isinstance(current, list) and len(saved) == len(current):
        for i, (ours, theirs) in enumerate(zip(saved, current, strict=True)):
            yield from differences(ours, theirs, f"{path}[{i}]")
    elif saved != current:
        what = f"{path}: " if path else ""
        yield f"{what}the run has {short_repr(saved, 100)}, this model {short_repr(current, 100)}"
