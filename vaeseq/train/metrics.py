# Copyright 2026 The vaeseq Authors. SPDX-License-Identifier: Apache-2.0
"""Writers of metrics, samples, images and audio: JSON lines, TensorBoard.

All writers have the same methods and ignore what they cannot show:

    with MultiWriter([JsonLines(path, last_step=-1), TensorBoard(directory)]) as writer:
        writer.scalars(100, {"loss": 1.9, "nats_per_char": 1.8})
        writer.text(100, "sample", "To be ...")

Axes: H height, W width, C channels (see `vaeseq.types` for the others).
"""

from __future__ import annotations

import abc
import contextlib
import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_MAX_LINE = 1 << 20  # bytes; longer lines are invalid and are read in pieces


class Writer(abc.ABC):
    """Interface of writers; each call carries the training step it belongs to."""

    @abc.abstractmethod
    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes numbers by name: Python or NumPy numbers, or tensors of shape []."""

    def text(self, step: int, name: str, text: str) -> None:
        """Writes a text, such as a sample."""

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes an image `[H, W, C]` with C of 1, 3 or 4: uint8, or float in [0, 1]."""

    def audio(self, step: int, name: str, audio: np.ndarray, rate: int) -> None:
        """Writes audio `[T, C]`, float in [-1, 1], with `rate` samples a second."""

    def flush(self) -> None:
        """Makes everything written so far durable."""

    def close(self) -> None:
        """Flushes and closes; nothing may be written afterwards."""
        self.flush()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class JsonLines(Writer):
    """Appends one JSON object a step to a file: `{"step": 100, "loss": 1.9}`.

    Lines are in the order of their steps. A resumed run leaves the same file as an uninterrupted
    one if each line is written and flushed before the checkpoint of its step is saved, and if no
    value depends on the clock. NaN and infinity become null.

    Args:
      path: the file.
      last_step: the step of the restored checkpoint; lines of later steps are removed. -1 removes
        all lines.

    Raises:
      OSError: the file cannot be written.
      ValueError: a step is not later than the last one.
    """

    def __init__(self, path: str | os.PathLike[str], *, last_step: int) -> None:
        self._path = pathlib.Path(path)
        self._last_step = last_step
        _remove_later_lines(self._path, last_step)
        self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Appends a line and passes it to the operating system."""
        if step <= self._last_step:
            raise ValueError(
                f"{str(self._path)!r}: expected a step after {self._last_step}, the last one "
                f"written; got {step}. Write all values of a step at once."
            )
        numbers = {name: number if math.isfinite(number := _number(value)) else None
                   for name, value in values.items()}
        self._file.write(json.dumps({"step": int(step), **numbers}, allow_nan=False) + "\n")
        self._file.flush()
        self._last_step = int(step)

    def flush(self) -> None:
        """Writes all lines to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Writes all lines to the disk and closes the file."""
        if not self._file.closed:
            with self._file:
                self.flush()


class TensorBoard(Writer):
    """Writes TensorBoard's event files into a directory."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        # As bytes, because paths need not be UTF-8.
        self._writer = tf.summary.create_file_writer(os.fsencode(directory))

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes one point of each curve."""
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, np.float64(_number(value)), step=np.int64(step))

    def text(self, step: int, name: str, text: str) -> None:
        """Writes a text verbatim, as an indented block of Markdown."""
        verbatim = "".join(f"    {line}\n" for line in text.splitlines())
        with self._writer.as_default():
            tf.summary.text(name, verbatim.encode("utf-8", "replace"), step=np.int64(step))

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes an image."""
        with self._writer.as_default():
            tf.summary.image(name, image[np.newaxis], step=np.int64(step))

    def audio(self, step: int, name: str, audio: np.ndarray, rate: int) -> None:
        """Writes audio."""
        with self._writer.as_default():
            tf.summary.audio(name, np.float32(audio)[np.newaxis], rate, step=np.int64(step))

    def flush(self) -> None:
        """Writes buffered events to the file."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()


class MultiWriter(Writer):
    """Forwards every call to several writers, in their order."""

    def __init__(self, writers: Sequence[Writer]) -> None:
        self._writers = tuple(writers)

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        for writer in self._writers:
            writer.scalars(step, values)

    def text(self, step: int, name: str, text: str) -> None:
        for writer in self._writers:
            writer.text(step, name, text)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        for writer in self._writers:
            writer.image(step, name, image)

    def audio(self, step: int, name: str, audio: np.ndarray, rate: int) -> None:
        for writer in self._writers:
            writer.audio(step, name, audio, rate)

    def flush(self) -> None:
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        """Closes all writers, even if one of them raises."""
        with contextlib.ExitStack() as stack:
            for writer in reversed(self._writers):
                stack.callback(writer.close)


def _number(value: Any) -> float:
    """Converts a scalar to a Python number of its kind."""
    number = np.asarray(value)
    if number.shape != () or number.dtype.kind not in "biuf":
        raise TypeError(f"expected a number of shape []; got {value!r}")
    return number.item()


def _remove_later_lines(path: pathlib.Path, last_step: int) -> None:
    """Removes lines that are incomplete, invalid or of steps after `last_step`."""
    if not path.exists():
        return
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)  # It might be a link.
    with open(path, "rb") as old, open(temporary, "xb") as new:
        while line := old.readline(_MAX_LINE):
            step = _step_of(line)
            if step is not None and step <= last_step:
                new.write(line.rstrip(b"\n") + b"\n")
        new.flush()
        os.fsync(new.fileno())
    os.replace(temporary, path)


def _step_of(line: bytes) -> int | None:
    """Returns the step of a line; None if the line is incomplete or invalid."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    step = values.get("step") if isinstance(values, dict) else None
    return step if isinstance(step, int) and not isinstance(step, bool) else None
