# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints: written aside, checked, then moved into place.

    DIRECTORY/
      step-000001200/      the last few, each a directory of its own
        state.index
        state.data-00000-of-00001
      best-000000800/      the best by validation, the same

A directory appears under its name only when it is whole, by one rename; so whatever interrupts a
run, what was saved stays. The files are TensorFlow's checkpoint format, tensors with checksums:
nothing in them is executed.
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
_NAME = re.compile(r"(step|best)-(\d{9,})")


def _warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class SavedNest(tf.Module):
    """A nest of tensors kept in variables, so that it can be saved and restored.

    Args:
      nest: what to keep; later values have its structure, shapes and dtypes.
    """

    def __init__(self, nest: Nest):
        super().__init__(name="carried")
        self._structure = nest
        self._kept = [tf.Variable(leaf, trainable=False) for leaf in tf.nest.flatten(nest)]

    def assign(self, nest: Nest) -> None:
        """Keeps a new value."""
        for variable, leaf in zip(self._kept, tf.nest.flatten(nest)):
            variable.assign(leaf)

    def value(self) -> Nest:
        """The value kept, as tensors."""
        return tf.nest.pack_sequence_as(self._structure, [tf.identity(v) for v in self._kept])


class Checkpoints:
    """The saved states of one run.

    What is saved is a set of named objects (modules, optimizers, variables); restoring takes the
    same names, or some of them.
    """

    def __init__(self, directory: str | os.PathLike[str], *, keep: int = 3,
                 log: Callable[[str], None] = _warn):
        """Args: directory: made when first saved to. keep: of the latest. say: tells of damage."""
        self._directory = Path(directory)
        self._keep = keep
        self._say = log

    def steps(self, kind: str = "step") -> list[int]:
        """The steps saved as "step" or as "best", ascending."""
        if not self._directory.exists():
            return []
        names = (_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        return sorted(int(name[2]) for name in names if name and name[1] == kind)

    def save(self, step: int, objects: dict[str, tf.Module], *, best: bool = False) -> None:
        """Saves `objects` as of `step`, and as the best so far if they are.

        Raises:
          OSError: the disk is full, or cannot be written; what was saved before stays.
        """
        # The best first: a run that is killed in between comes to this step again and saves both.
        # After the other order it would go on from here, with an older state as the best.
        for kind in ("best", "step") if best else ("step",):
            self._write(self._path(kind, step), objects)
            keep = 1 if kind == "best" else self._keep
            for old in self.steps(kind)[:-keep]:
                _remove(self._path(kind, old))

    def restore(self, objects: dict[str, tf.Module], *, best: bool = False) -> int | None:
        """Restores the latest whole checkpoint, or the best one; returns its step.

        A damaged one is passed over for the one before (the best for the latest), and a line says
        so. None where nothing was saved.

        Raises:
          ValueError: all are damaged, or the checkpoint is of another model.
        """
        kinds = ("best", "step") if best else ("step",)
        saved = [(kind, step) for kind in kinds for step in reversed(self.steps(kind))]
        for kind, step in saved:
            path = self._path(kind, step)
            damage = _damage(path)
            if damage:
                self._say(f"{path} is damaged ({damage}); another checkpoint is looked for.")
                continue
            _read(path, objects)
            return step
        if saved:
            raise ValueError(
                f"{self._directory}: expected a whole checkpoint; all {len(saved)} are damaged. "
                "Give another --log-dir, or remove this one to begin anew.")
        return None

    def _path(self, kind: str, step: int) -> Path:
        return self._directory / f"{kind}-{step:09d}"

    def _write(self, path: Path, objects: dict[str, tf.Module]) -> None:
        for left in path.parent.glob("writing-*"):  # by a run that was killed as it saved
            _remove(left)
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
            raise OSError(f"{path}: what was written cannot be read back: {damage}")
        _remove(path)
        aside.rename(path)


def _remove(path: Path) -> None:
    """Removes a directory, or whatever else stands under its name."""
    with contextlib.suppress(OSError):
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def utf8_path(directory: Path) -> Iterator[str]:
    """A name of a directory that TensorFlow takes: it knows none that is not UTF-8."""
    name = str(directory)
    if not any("\ud800" <= character <= "\udfff" for character in name):
        yield name
        return
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{opened}"
    finally:
        os.close(opened)


def _damage(path: Path) -> str:
    """What is wrong with a checkpoint's files; "" where every tensor's checksum is right."""
    try:
        wrong = checkpoint_index.damage(path / _FILES)
        if wrong:
            return wrong
        with utf8_path(path) as directory:
            reader = tf.train.load_checkpoint(os.path.join(directory, _FILES))
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    except (OSError, tf.errors.OpError, ValueError, IndexError, KeyError, RuntimeError) as error:
        return (str(getattr(error, "message", None) or error).splitlines() or ["unreadable"])[0]
    return ""


def _read(path: Path, objects: dict[str, tf.Module]) -> None:
    with _untold():
        said = _misfit(path, objects)
        if said:
            gc.collect()  # what was half restored tells its part when it goes
    if said:
        raise ValueError(
            f"{path}: expected a checkpoint of this model, got one whose weights do not fit "
            f"({said}). Give the hyperparameters it was trained with, or another --log-dir.")


def _misfit(path: Path, objects: dict[str, tf.Module]) -> str:
    """Restores `objects`; what does not fit, "" where all of them were restored."""
    try:
        with utf8_path(path) as directory:
            status = tf.train.Checkpoint(**objects).read(os.path.join(directory, _FILES))
            status.expect_partial()
            status.assert_existing_objects_matched()
    except Exception as error:  # an object graph that makes no sense raises anything
        return (str(getattr(error, "message", None) or error).splitlines()
                or [type(error).__name__])[0]
    return ""


@contextlib.contextmanager
def _untold() -> Iterator[None]:
    """Inside, TensorFlow says nothing of what it does not find: the error tells it."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
