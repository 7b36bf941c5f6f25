# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints, written atomically and verified before and after.

    DIRECTORY/
      step-000001200/      the latest few
        state.index
        state.data-00000-of-00001
      best-000000800/      the best by validation

A directory is renamed into place once it is complete, so an interruption cannot damage saved
checkpoints. The files are TensorFlow's checkpoint format, tensors with checksums; nothing in them
is executed.
"""
from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from vaeseq.runs import checkpoint_index
from vaeseq.types import Nest

_FILES = "state"
_REPLACED = "writing-replaced-"  # before the name, while another of the same name is put there
_REMOVED = "writing-removed-"  # before the name, while it is removed
_MOST_REMOVED = 20  # checkpoints that a training run may remove while one is being restored
_NAME = re.compile(rf"(?:{_REPLACED})?(step|best)-(\d{{9,}})")


def _warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class _DamagedError(ValueError):
    """The files of a checkpoint are damaged."""


class SavedNest(tf.Module):
    """Holds a nest of tensors in variables, so that a checkpoint can contain it.

    Args:
      nest: the initial value; later values have its structure, shapes and dtypes.
    """

    def __init__(self, nest: Nest):
        super().__init__(name="carried")
        self._structure = nest
        # Checkpoints name the variables by this attribute.
        self._kept = [tf.Variable(leaf, trainable=False) for leaf in tf.nest.flatten(nest)]

    def assign(self, nest: Nest) -> None:
        """Sets the value."""
        for variable, leaf in zip(self._kept, tf.nest.flatten(nest)):
            variable.assign(leaf)

    def value(self) -> Nest:
        """Returns the value, as tensors."""
        return tf.nest.pack_sequence_as(self._structure, [tf.identity(v) for v in self._kept])


class Checkpoints:
    """The checkpoints of one run.

    A checkpoint holds named objects (modules, optimizers, variables); all or some of them can be
    restored by name.
    """

    def __init__(self, directory: str | os.PathLike[str], *, keep: int = 3,
                 log: Callable[[str], None] = _warn):
        """Creates the object.

        Args:
          directory: of the checkpoints; made by the first `save`.
          keep: number of latest checkpoints to keep.
          log: prints a line about a damaged checkpoint.
        """
        self._directory = Path(directory)
        self._keep = keep
        self._log = log

    def steps(self, kind: str = "step") -> list[int]:
        """Returns the steps saved as "step" or as "best", ascending."""
        if not self._directory.exists():
            return []
        names = (_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        return sorted({int(name[2]) for name in names if name and name[1] == kind})

    def save(self, step: int, objects: dict[str, tf.Module], *, best: bool = False) -> None:
        """Saves `objects` at `step`, and also as the best checkpoint if `best`.

        Raises:
          OSError: the disk is full or not writable; earlier checkpoints are intact.
        """
        # The best is saved first: a run killed in between resumes before this step and saves both.
        # In the other order it would resume from here, with an older best checkpoint.
        for kind in ("best", "step") if best else ("step",):
            self._write(self._path(kind, step), objects)
            keep = 1 if kind == "best" else self._keep
            for old in self.steps(kind)[:-keep]:
                _remove(self._path(kind, old))
                _remove(_replaced(self._path(kind, old)))

    def restore(
        self, objects: dict[str, tf.Module], *, best: bool = False,
        further: dict[str, tf.Module] | None = None,
    ) -> int | None:
        """Restores the latest or the best intact checkpoint.

        Logs each damaged checkpoint and tries the one before it (after the best, the latest). One
        that a training run removes meanwhile is no damaged one: the next is looked up again.
        What the checkpoint lacks of the objects in `further` keeps its value.

        Returns:
          The step of the checkpoint; None if there is none.

        Raises:
          ValueError: all checkpoints are damaged, or the checkpoint is of another model.
          OSError: the system refuses to read a checkpoint, which need not be damaged.
        """
        damaged: set[Path] = set()
        num_removed = 0
        while saved := [entry for entry in self._saved(best) if entry[0] not in damaged]:
            listed, step = saved[0]
            # A save that is killed between its two renames leaves the replaced checkpoint.
            path = listed if listed.exists() else _replaced(listed)
            directory = _identity(path)
            try:
                _read(path, objects, further or {})
                return step
            except (OSError, ValueError) as error:
                is_removed = directory is None or _identity(path) != directory
                if is_removed and num_removed < _MOST_REMOVED:
                    num_removed += 1
                    continue
                if isinstance(error, OSError):
                    error.filename = error.filename or str(path)  # reading a file names none
                if not isinstance(error, _DamagedError):
                    raise
                self._log(f"{path} is damaged ({error}); trying another checkpoint.")
                damaged.add(listed)
        if damaged:
            raise ValueError(
                f"{self._directory}: expected an intact checkpoint; all {len(damaged)} are "
                "damaged. Give another --log-dir, or remove this one and train again.")
        return None

    def _saved(self, best: bool) -> list[tuple[Path, int]]:
        """Returns the checkpoints and their steps in the order in which `restore` tries them."""
        kinds = ("best", "step") if best else ("step",)
        return [(self._path(kind, step), step)
                for kind in kinds for step in reversed(self.steps(kind))]

    def _path(self, kind: str, step: int) -> Path:
        return self._directory / f"{kind}-{step:09d}"

    def _write(self, path: Path, objects: dict[str, tf.Module]) -> None:
        for partial in path.parent.glob("writing-*"):  # by a run killed while saving
            whole = partial.with_name(partial.name.removeprefix(_REPLACED))
            if whole == partial or whole.exists():
                _remove(partial)
        aside = path.with_name(f"writing-{path.name}")
        aside.mkdir(parents=True)
        try:
            with utf8_path(aside) as directory:
                tf.train.Checkpoint(**objects).write(os.path.join(directory, _FILES))
        except tf.errors.OpError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise OSError(f"{path}: cannot be written: {error.message}") from None
        damage = _damage(aside)
        if damage:
            raise OSError(f"{path}: the checkpoint cannot be read back: {damage}")
        # An interrupted removal leaves damaged files, so an old one is first moved aside.
        replaced = _replaced(path)
        with contextlib.suppress(FileNotFoundError):
            path.rename(replaced)
        aside.rename(path)
        _remove(replaced)


def _replaced(path: Path) -> Path:
    return path.with_name(f"{_REPLACED}{path.name}")


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a directory from another of its name; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _remove(path: Path) -> None:
    """Removes a directory or file, if it exists."""
    with contextlib.suppress(OSError):
        path.unlink()
    # All files go at once, so that another process never finds a part of them.
    aside = path if path.name.startswith("writing-") else path.with_name(_REMOVED + path.name)
    with contextlib.suppress(OSError):
        path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def utf8_path(directory: Path) -> Iterator[str]:
    """Yields a name of a directory in UTF-8 that is no pattern, as TensorFlow requires."""
    name = str(directory)
    if not any("\ud800" <= character <= "\udfff" or character in "*?[]\\"
               for character in name):
        yield name
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _damage(path: Path) -> str:
    """Returns the damage to a checkpoint's files; "" if the checksum of every tensor is right.

    Raises:
      OSError: the system refuses to read a file.
    """
    try:
        damage = checkpoint_index.damage(path / _FILES)
        if damage:
            return damage
        with utf8_path(path) as directory:
            reader = tf.train.load_checkpoint(os.path.join(directory, _FILES))
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, IndexError, KeyError, RuntimeError) as error:
        # TensorFlow does not tell whether the system refused to read the data.
        checkpoint_index.read_data(path / _FILES)
        return (str(getattr(error, "message", None) or error).splitlines() or ["unreadable"])[0]
    return ""


def _read(path: Path, objects: dict[str, tf.Module], further: dict[str, tf.Module]) -> None:
    """Restores `objects` from the checkpoint `path`.

    Raises:
      ValueError: it is damaged (`_DamagedError`), or of another model.
      OSError: the system refuses to read a file.
    """
    damage = _damage(path)
    if damage:
        raise _DamagedError(damage)
    with _quiet_tensorflow():
        mismatch = _restore(path, objects, further)
        if mismatch:
            gc.collect()  # a partly restored checkpoint logs warnings when it is deleted
    if mismatch:
        raise ValueError(
            f"{path}: expected a checkpoint of this model, got one whose weights do not fit "
            f"({mismatch}). Give the hyperparameters it was trained with, or another --log-dir.")


def _restore(path: Path, objects: dict[str, tf.Module], further: dict[str, tf.Module]) -> str:
    """Restores `objects`; returns the first mismatch, "" if there is none."""
    try:
        with utf8_path(path) as directory:
            status = tf.train.Checkpoint(**objects).read(os.path.join(directory, _FILES))
            status.expect_partial()
            status.assert_existing_objects_matched()
            if further:
                status = tf.train.Checkpoint(**further).read(os.path.join(directory, _FILES))
                status.expect_partial()
    except OSError:
        raise
    except Exception as error:  # an invalid object graph can raise any exception
        return (str(getattr(error, "message", None) or error).splitlines()
                or [type(error).__name__])[0]
    return ""


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Silences TensorFlow's warnings about missing values, which the error reports."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
